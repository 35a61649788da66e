# SPDX-License-Identifier: ISC
"""Which unix socket is connected to which: NETLINK_SOCK_DIAG, UNIX_DIAG
(what `ss -x` reads), for sockets that /proc shows only by inode."""
import os
import re
import socket
import struct

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
UDIAG_SHOW_NAME, UDIAG_SHOW_PEER = 1, 4
UNIX_DIAG_NAME, UNIX_DIAG_PEER = 0, 2
TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
TCP_LISTEN = 10


class Unix:
    def __init__(self, ino, kind, listening, peer, name):
        self.ino, self.kind, self.listening = ino, kind, listening
        self.peer, self.name = peer, name


def _attrs(data):
    out = {}
    while len(data) >= 4:
        n, t = struct.unpack_from("=HH", data)
        if n < 4:
            break
        out[t] = data[4:n]
        data = data[(n + 3) & ~3:]
    return out


def unix_sockets():
    """{inode: Unix} of this network namespace."""
    out = {}
    req = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xffffffff, 0,
                      UDIAG_SHOW_NAME | UDIAG_SHOW_PEER, 0xffffffff,
                      0xffffffff)
    head = struct.pack("=IHHII", 16 + len(req), SOCK_DIAG_BY_FAMILY,
                       NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       NETLINK_SOCK_DIAG) as s:
        s.settimeout(5)
        s.send(head + req)
        while True:
            data = s.recv(1 << 18)
            while len(data) >= 16:
                n, t, _, _, _ = struct.unpack_from("=IHHII", data)
                if t == NLMSG_DONE:
                    return out
                if t == NLMSG_ERROR:
                    err = -struct.unpack_from("=i", data, 16)[0]
                    raise OSError(err, "UNIX_DIAG: " + os.strerror(err))
                _, kind, state, _, ino = struct.unpack_from("=BBBBI", data,
                                                            16)
                a = _attrs(data[32:n])
                peer = (struct.unpack("=I", a[UNIX_DIAG_PEER])[0]
                        if UNIX_DIAG_PEER in a else 0)
                name = a.get(UNIX_DIAG_NAME, b"").rstrip(b"\0").decode(
                    errors="replace")
                out[ino] = Unix(ino, TYPES.get(kind, str(kind)),
                                state == TCP_LISTEN, peer, name)
                data = data[(n + 3) & ~3:]


def socket_inodes(pid):
    """{fd: inode} of the sockets among a process's descriptors."""
    out = {}
    d = "/proc/%d/fd" % pid
    for fd in os.listdir(d):
        try:
            m = re.match(r"socket:\[(\d+)\]$", os.readlink(d + "/" + fd))
        except OSError:
            continue
        if m:
            out[int(fd)] = int(m.group(1))
    return out


def listening_tcp(pid):
    """{inode: (address, port)} of the process's listening TCP sockets."""
    mine = set(socket_inodes(pid).values())
    out = {}
    with open("/proc/%d/net/tcp" % pid) as f:
        for line in list(f)[1:]:
            c = line.split()
            if c[3] == "0A" and int(c[9]) in mine:
                a, p = c[1].split(":")
                out[int(c[9])] = (socket.inet_ntoa(
                    struct.pack("=I", int(a, 16))), int(p, 16))
    return out
