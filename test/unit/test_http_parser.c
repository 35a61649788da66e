/* SPDX-License-Identifier: ISC */
/*
 * The HTTP parser against tables of requests: the cases of the public h1spec,
 * HTTP Garden and llhttp suites re-stated as data, and our own. Each is fed
 * whole, byte by byte, and cut in two at every point; the outcome must be the
 * same each time.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "workers/http/parser.h"

#define MORE (-1) /* incomplete: the parser waits */
#define OK   0

/* `in` and how it ends: OK, MORE or the status of the refusal. */
struct refusal {
	const char *name;
	int end;
	const char *in;
	size_t len;
};
#define R(name, end, in)                      \
	{                                     \
		name, end, in, sizeof(in) - 1 \
	}

/* An accepted request, and what is read from it. */
struct reading {
	const char *name;
	const char *in;
	size_t len;
	enum http_method method;
	const char *path, *query, *body;
	bool keep_alive;
	size_t rest; /* bytes that belong to the next request */
};
#define A(name, method, path, query, body, keep, rest, in)                 \
	{                                                                  \
		name, in, sizeof(in) - 1, method, path, query, body, keep, \
		    rest                                                   \
	}

#define H		   "Host: a.example\r\n"
#define GET(fields)	   "GET / HTTP/1.1\r\n" H fields "\r\n"
#define POST(fields, body) "POST / HTTP/1.1\r\n" H fields "\r\n" body
#define CL(v)		   POST("Content-Length: " v "\r\n", "hello")
#define TE(v)		   POST("Transfer-Encoding: " v "\r\n", "5\r\nhello\r\n0\r\n\r\n")
#define CH(body)	   POST("Transfer-Encoding: chunked\r\n", body)

/* ---- h1spec: fragments of a request are waited for, not refused ---- */

static const struct refusal fragments[] = {
	R("part of the method", MORE, "G"),
	R("method", MORE, "GET "),
	R("part of the target", MORE, "GET /hello"),
	R("target", MORE, "GET /hello "),
	R("part of the version", MORE, "GET /hello HTTP"),
	R("version", MORE, "GET /hello HTTP/1.1"),
	R("request line without LF", MORE, "GET /hello HTTP/1.1\r"),
	R("request line", MORE, "GET /hello HTTP/1.1\r\n"),
	R("part of a field name", MORE, "GET /hello HTTP/1.1\r\nHos"),
	R("field name", MORE, "GET /hello HTTP/1.1\r\nHost:"),
	R("space before the value", MORE, "GET /hello HTTP/1.1\r\nHost: "),
	R("part of the value", MORE, "GET /hello HTTP/1.1\r\nHost: local"),
	R("value and CR", MORE, "GET /hello HTTP/1.1\r\nHost: localhost\r"),
	R("field line", MORE, "GET /hello HTTP/1.1\r\nHost: localhost\r\n"),
	R("last CR", MORE, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r"),
};

/* ---- h1spec: framing ---- */

static const struct refusal h1spec[] = {
	R("no version", 400, "GET / \r\n\r\n"),
	R("version 0.9 line", 400, "GET /\r\n\r\n"),
	R("expectation known", OK,
	    POST("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello")),
	R("plain GET", OK, GET("")),
	R("odd but right fields", OK,
	    "GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n"),
	R("bad byte in a name", 400, GET("X-Invalid[]: test\r\n")),
	R("no host", 400, "GET / HTTP/1.1\r\n\r\n"),
	R("two hosts", 400, GET("Host: b.example\r\n")),
	R("huge negative length", 400, CL("-123456789123456789123456789")),
	R("negative length", 400, CL("-1234")),
	R("length is a word", 400, CL("abc")),
	R("empty value", OK, GET("X-Empty-Header: \r\n")),
	R("control byte in a value", 400, GET("X-Bad-Char: te\x07st\r\n")),
	R("version 9.9", 505, "GET / HTTP/9.9\r\n" H "\r\n"),
	R("bytes before the method", 400,
	    "Extra lineGET / HTTP/1.1\r\n" H "\r\n"),
	R("bare CR as line end", 400, "GET / HTTP/1.1\rHost: a\r\n\r\n"),
	R("POST with a body", OK, CL("5")),
	R("chunked, and a length", 400,
	    POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"0\r\n\r\n")),
};

/* ---- request lines ---- */

static const struct refusal lines[] = {
	R("space first", 400, " GET / HTTP/1.1\r\n" H "\r\n"),
	R("two spaces", 400, "GET  / HTTP/1.1\r\n" H "\r\n"),
	R("two spaces later", 400, "GET /  HTTP/1.1\r\n" H "\r\n"),
	R("tab for space", 400, "GET\t/ HTTP/1.1\r\n" H "\r\n"),
	R("space at the end", 400, "GET / HTTP/1.1 \r\n" H "\r\n"),
	R("lower-case protocol", 400, "GET / http/1.1\r\n" H "\r\n"),
	R("other protocol", 400, "GET / ICE/1.0\r\n" H "\r\n"),
	R("version with a letter", 400, "GET / HTTP/1.a\r\n" H "\r\n"),
	R("version 1.10", 400, "GET / HTTP/1.10\r\n" H "\r\n"),
	R("version 01.1", 400, "GET / HTTP/01.1\r\n" H "\r\n"),
	R("version 1,1", 400, "GET / HTTP/1,1\r\n" H "\r\n"),
	R("version 1.2", 505, "GET / HTTP/1.2\r\n" H "\r\n"),
	R("version 2.0", 505, "GET / HTTP/2.0\r\n" H "\r\n"),
	R("HTTP/2 preface", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	R("version 0.9", 505, "GET / HTTP/0.9\r\n" H "\r\n"),
	R("version 1.", 400, "GET / HTTP/1.\r\n" H "\r\n"),
	R("bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"),
	R("CR CR LF", 400, "GET / HTTP/1.1\r\r\n" H "\r\n"),
	R("LF first", 400, "\nGET / HTTP/1.1\r\n" H "\r\n"),
	R("one empty line first", OK, "\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	R("two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	R("CR first", 400, "\rGET / HTTP/1.1\r\n" H "\r\n"),
	R("TLS hello", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	R("NUL in the method", 400, "G\0T / HTTP/1.1\r\n" H "\r\n"),
	R("colon in the method", 400, "GET: / HTTP/1.1\r\n" H "\r\n"),
	R("quote in the method", 400, "\"GET\" / HTTP/1.1\r\n" H "\r\n"),
	R("parenthesis in the method", 400, "G(T / HTTP/1.1\r\n" H "\r\n"),
	R("long method", 501,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n"),
	R("no target", 400, "GET HTTP/1.1\r\n" H "\r\n"),
	R("relative target", 400, "GET index HTTP/1.1\r\n" H "\r\n"),
	R("star with GET", 400, "GET * HTTP/1.1\r\n" H "\r\n"),
	R("star and more", 400, "OPTIONS *a HTTP/1.1\r\n" H "\r\n"),
	R("fragment", 400, "GET /a#b HTTP/1.1\r\n" H "\r\n"),
	R("backslash", 400, "GET /a\\b HTTP/1.1\r\n" H "\r\n"),
	R("angle", 400, "GET /<a> HTTP/1.1\r\n" H "\r\n"),
	R("DEL", 400, "GET /\x7f HTTP/1.1\r\n" H "\r\n"),
	R("raw high byte", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"),
	R("NUL in the target", 400, "GET /\0 HTTP/1.1\r\n" H "\r\n"),
	R("tab in the target", 400, "GET /a\tb HTTP/1.1\r\n" H "\r\n"),
	R("escaped NUL", 400, "GET /%00 HTTP/1.1\r\n" H "\r\n"),
	R("short escape", 400, "GET /%4 HTTP/1.1\r\n" H "\r\n"),
	R("bad escape", 400, "GET /%zz HTTP/1.1\r\n" H "\r\n"),
	R("bad escape in the query", 400, "GET /?a=%g0 HTTP/1.1\r\n" H "\r\n"),
	R("escaped NUL in the query", 400, "GET /?%00 HTTP/1.1\r\n" H "\r\n"),
	R("CONNECT", 400, "CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n"),
	R("ftp target", 400, "GET ftp://a.example/ HTTP/1.1\r\n" H "\r\n"),
	R("target with user", 400, "GET http://u@a/ HTTP/1.1\r\n" H "\r\n"),
	R("target, empty host", 400, "GET http:///x HTTP/1.1\r\n" H "\r\n"),
	R("target, bad port", 400, "GET http://a:b/ HTTP/1.1\r\n" H "\r\n"),
};

/* ---- fields ---- */

static const struct refusal fields[] = {
	R("space before the colon", 400, GET("X-A : b\r\n")),
	R("tab before the colon", 400, GET("X-A\t: b\r\n")),
	R("space in the name", 400, GET("X A: b\r\n")),
	R("empty name", 400, GET(": b\r\n")),
	R("no colon", 400, GET("X-A\r\n")),
	R("folded line", 400, GET("X-A: b\r\n c\r\n")),
	R("folded with a tab", 400, GET("X-A: b\r\n\tc\r\n")),
	R("fold before any field", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
	R("fold of nothing", 400, GET("X-A:\r\n b\r\n")),
	R("NUL in a name", 400, GET("X-\0A: b\r\n")),
	R("NUL first in a name", 400, GET("\0X-A: b\r\n")),
	R("high byte in a name", 400,
	    GET("X-\xff"
		"A: b\r\n")),
	R("VT before a name", 400, GET("\x0bX-A: b\r\n")),
	R("slash in a name", 400, GET("X/A: b\r\n")),
	R("NUL in a value", 400, GET("X-A: b\0c\r\n")),
	R("DEL in a value", 400, GET("X-A: b\x7f\r\n")),
	R("ESC in a value", 400, GET("X-A: \x1b[31m\r\n")),
	R("VT in a value", 400, GET("X-A: b\x0b\r\n")),
	R("FF in a value", 400, GET("X-A: b\x0c\r\n")),
	R("high bytes in a value", OK, GET("X-A: caf\xc3\xa9 \xff\r\n")),
	R("tab in a value", OK, GET("X-A: b\tc\r\n")),
	R("bare LF after a value", 400, GET("X-A: b\nX-B: c\r\n")),
	R("bare CR in a value", 400, GET("X-A: b\rX-B: c\r\n")),
	R("bare CR at the end", 400, GET("X-A: b\r\r\n")),
	R("bare LF at the end", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
	R("bare CR, then no LF", 400, "GET / HTTP/1.1\r\nHost: a\r\n\rX"),
	R("host empty", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
	R("host of spaces", 400, "GET / HTTP/1.1\r\nHost:  \r\n\r\n"),
	R("host list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
	R("host with user", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
	R("host with path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
	R("host with a space", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
	R("host, high byte", 400, "GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n"),
	R("host, port only", 400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
	R("host, port a word", 400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
	R("host, two ports", 400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
	R("host, long port", 400, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n"),
	R("host, port", OK, "GET / HTTP/1.1\r\nHost: a:8000\r\n\r\n"),
	R("host, empty port", OK, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"),
	R("host, IPv6", OK, "GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"),
	R("host, IPv6 open", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
	R("host, IPv6 and more", 400, "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
	R("host, brackets empty", 400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"),
	R("equal hosts", 400, GET(H)),
	R("1.0 without host", OK, "GET / HTTP/1.0\r\n\r\n"),
	R("1.0 with two hosts", 400, "GET / HTTP/1.0\r\n" H H "\r\n"),
	R("unknown expectation", 417, GET("Expect: 200-ok\r\n")),
	R("expectation list", 417, GET("Expect: 100-continue, x\r\n")),
	R("upgrade is ignored", OK,
	    GET("Connection: Upgrade\r\nUpgrade: websocket\r\n")),
};

/* ---- Content-Length ---- */

static const struct refusal lengths[] = {
	R("plus", 400, CL("+5")),
	R("minus zero", 400, CL("-0")),
	R("hex", 400, CL("0x5")),
	R("underscore", 400, CL("0_5")),
	R("dot", 400, CL("5.0")),
	R("exponent", 400, CL("5e0")),
	R("empty", 400, CL("")),
	R("list", 400, CL("5, 5")),
	R("list without space", 400, CL("5,5")),
	R("list, last empty", 400, CL("5,")),
	R("two numbers", 400, CL("5 5")),
	R("quoted", 400, CL("\"5\"")),
	R("semicolon", 400, CL("5;a=b")),
	R("VT behind", 400, CL("5\x0b")),
	R("NUL behind", 400, CL("5\0")),
	R("NBSP behind", 400, CL("5\xa0")),
	R("Arabic digit", 400, CL("\xd9\xa5")),
	R("above 2^63", 400, CL("9223372036854775808")),
	R("above 2^64", 400, CL("18446744073709551621")),
	R("many digits", 400, CL("00000000000000000005")),
	R("leading zeros", OK, CL("0005")),
	R("spaces around", OK, CL(" 5 \t")),
	R("twice the same", 400,
	    POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
	R("twice, different", 400,
	    POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")),
	R("twice, one empty", 400,
	    POST("Content-Length:\r\nContent-Length: 5\r\n", "hello")),
	R("too large", 413, CL("4097")),
	R("much too large", 413, CL("9223372036854775807")),
	R("short body", MORE, CL("6")),
	R("underscore in the name", OK,
	    POST("Content_Length: 5\r\nContent-Length: 0\r\n", "")),
};

/* ---- Transfer-Encoding ---- */

static const struct refusal codings[] = {
	R("chunked", OK, TE("chunked")),
	R("any case", OK, TE("ChUnKeD")),
	R("spaces around", OK, TE(" \tchunked\t ")),
	R("tab before", OK,
	    POST("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n")),
	R("identity", 400, TE("identity")),
	R("empty", 400, TE("")),
	R("x-chunked", 400, TE("xchunked")),
	R("chunked-x", 400, TE("chunkedx")),
	R("chunked twice", 400, TE("chunked, chunked")),
	R("chunked first", 400, TE("chunked, identity")),
	R("gzip below", 501, TE("gzip, chunked")),
	R("gzip only", 400, TE("gzip")),
	R("comma first", 400, TE(", chunked")),
	R("comma last", 400, TE("chunked,")),
	R("quoted", 400, TE("\"chunked\"")),
	R("parameter", 400, TE("chunked;q=1")),
	R("VT behind", 400, TE("chunked\x0b")),
	R("VT before", 400,
	    TE("\x0b"
	       "chunked")),
	R("NUL behind", 400, TE("chunked\0")),
	R("high byte", 400, TE("chunked\xff")),
	R("two fields", 400,
	    POST("Transfer-Encoding: chunked\r\n"
		 "Transfer-Encoding: chunked\r\n",
		"0\r\n\r\n")),
	R("two fields, one other", 400,
	    POST("Transfer-Encoding: chunked\r\n"
		 "Transfer-Encoding: cow\r\n",
		"0\r\n\r\n")),
	R("space before the colon", 400,
	    POST("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")),
	R("length first", 400,
	    POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"5\r\nhello\r\n0\r\n\r\n")),
	R("length last", 400,
	    POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"5\r\nhello\r\n0\r\n\r\n")),
	R("length zero", 400,
	    POST("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
		"0\r\n\r\n")),
	R("in HTTP/1.0", 400,
	    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
};

/* ---- chunks ---- */

static const struct refusal chunks[] = {
	R("none", OK, CH("0\r\n\r\n")),
	R("several", OK, CH("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")),
	R("many zeros", OK, CH("000\r\n\r\n")),
	R("hex, both cases", OK,
	    CH("a\r\n0123456789\r\nA\r\n0123456789\r\n"
	       "0\r\n\r\n")),
	R("extension", OK, CH("5;a=b\r\nhello\r\n0;c\r\n\r\n")),
	R("trailer", OK, CH("0\r\nX-A: b\r\nX-C: d\r\n\r\n")),
	R("last chunk missing", MORE, CH("5\r\nhello\r\n")),
	R("last line missing", MORE, CH("5\r\nhello\r\n0\r\n")),
	R("0x", 400, CH("0x5\r\nhello\r\n0\r\n\r\n")),
	R("plus", 400, CH("+5\r\nhello\r\n0\r\n\r\n")),
	R("minus", 400, CH("-5\r\nhello\r\n0\r\n\r\n")),
	R("underscore", 400, CH("0_5\r\nhello\r\n0\r\n\r\n")),
	R("space before", 400, CH(" 5\r\nhello\r\n0\r\n\r\n")),
	R("space behind", 400, CH("5 \r\nhello\r\n0\r\n\r\n")),
	R("tab behind", 400, CH("5\t\r\nhello\r\n0\r\n\r\n")),
	R("space before extension", 400, CH("5 ;a\r\nhello\r\n0\r\n\r\n")),
	R("empty size", 400, CH("\r\nhello\r\n0\r\n\r\n")),
	R("extension only", 400, CH(";a\r\nhello\r\n0\r\n\r\n")),
	R("not hex", 400, CH("g\r\nhello\r\n0\r\n\r\n")),
	R("NUL in the size", 400, CH("5\0\r\nhello\r\n0\r\n\r\n")),
	R("LF behind the size", 400, CH("5\nhello\r\n0\r\n\r\n")),
	R("CR behind the size", 400, CH("5\rhello\r\n0\r\n\r\n")),
	R("CR CR LF", 400, CH("5\r\r\nhello\r\n0\r\n\r\n")),
	R("LF in an extension", 400, CH("5;a\nhello\r\n0\r\n\r\n")),
	R("CR in an extension", 400, CH("5;a\rb\r\nhello\r\n0\r\n\r\n")),
	R("NUL in an extension", 400, CH("5;a\0\r\nhello\r\n0\r\n\r\n")),
	R("data too long", 400, CH("5\r\nhelloX\r\n0\r\n\r\n")),
	R("data too short", 400, CH("5\r\nhell\r\n0\r\n\r\n")),
	R("any two bytes for CRLF", 400, CH("5\r\nhelloXX0\r\n\r\n")),
	R("LF behind the data", 400, CH("5\r\nhello\n0\r\n\r\n")),
	R("CR behind the data", 400, CH("5\r\nhello\r0\r\n\r\n")),
	R("2^32 + 5", 413, CH("100000005\r\nhello\r\n0\r\n\r\n")),
	R("2^60 - 1", 413, CH("fffffffffffffff\r\nhello\r\n0\r\n\r\n")),
	R("2^64 + 5", 400, CH("10000000000000005\r\nhello\r\n0\r\n\r\n")),
	R("2^64 - 1", 400, CH("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
	R("too many digits", 400, CH("0000000000000005\r\nhello\r\n0\r\n\r\n")),
	R("too large", 413, CH("1001\r\n")),
	R("trailer without colon", 400, CH("0\r\nX-A\r\n\r\n")),
	R("trailer, space in name", 400, CH("0\r\nX A: b\r\n\r\n")),
	R("trailer, space before colon", 400, CH("0\r\nX-A : b\r\n\r\n")),
	R("trailer folded", 400, CH("0\r\nX-A: b\r\n c\r\n\r\n")),
	R("trailer, empty name", 400, CH("0\r\n: b\r\n\r\n")),
	R("trailer, bare LF", 400, CH("0\r\nX-A: b\n\r\n")),
	R("trailer, NUL", 400, CH("0\r\nX-A: \0\r\n\r\n")),
	R("bare LF at the end", 400, CH("0\r\n\n")),
	R("another request for a trailer", 400, CH("0\r\nGET / HTTP/1.1\r\n")),
	R("CR at the end, then no LF", 400, CH("0\r\n\rX")),
};

/* ---- what is read from accepted requests (llhttp's tables among them) ---- */

static const struct reading readings[] = {
	A("smallest", HTTP_GET, "/", NULL, "", true, 0, GET("")),
	A("query", HTTP_GET, "/v1/audit", "limit=5&x=%20?/", "", true, 0,
	    "GET /v1/audit?limit=5&x=%20?/ HTTP/1.1\r\n" H "\r\n"),
	A("empty query", HTTP_GET, "/a", "", "", true, 0,
	    "GET /a? HTTP/1.1\r\n" H "\r\n"),
	A("escapes stay in the raw path", HTTP_GET, "/%41%2f", NULL, "", true,
	    0, "GET /%41%2f HTTP/1.1\r\n" H "\r\n"),
	A("absolute", HTTP_GET, "/a/b", "c", "", true, 0,
	    "GET http://b.example:80/a/b?c HTTP/1.1\r\n" H "\r\n"),
	A("absolute, no path", HTTP_GET, "/", NULL, "", true, 0,
	    "GET HTTP://b.example HTTP/1.1\r\n" H "\r\n"),
	A("absolute, query only", HTTP_GET, "/", "x", "", true, 0,
	    "GET https://b?x HTTP/1.1\r\n" H "\r\n"),
	A("OPTIONS *", HTTP_OPTIONS, "*", NULL, "", true, 0,
	    "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
	A("HEAD", HTTP_HEAD, "/", NULL, "", true, 0,
	    "HEAD / HTTP/1.1\r\n" H "\r\n"),
	A("PUT", HTTP_PUT, "/", NULL, "", true, 0,
	    "PUT / HTTP/1.1\r\n" H "\r\n"),
	A("PATCH", HTTP_PATCH, "/", NULL, "", true, 0,
	    "PATCH / HTTP/1.1\r\n" H "\r\n"),
	A("DELETE", HTTP_DELETE, "/", NULL, "", true, 0,
	    "DELETE / HTTP/1.1\r\n" H "\r\n"),
	A("other method", HTTP_OTHER, "/", NULL, "", true, 0,
	    "M-SEARCH / HTTP/1.1\r\n" H "\r\n"),
	A("methods have their case", HTTP_OTHER, "/", NULL, "", true, 0,
	    "get / HTTP/1.1\r\n" H "\r\n"),
	A("length", HTTP_POST, "/", NULL, "hello", true, 0, CL("5")),
	A("next request behind it", HTTP_POST, "/", NULL, "hello", true, 18,
	    CL("5") "GET / HTTP/1.1\r\n\r\n"),
	A("GET with a body", HTTP_GET, "/", NULL, "abc", true, 1,
	    "GET / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcG"),
	A("chunks", HTTP_POST, "/", NULL, "hello world", true, 3,
	    CH("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET")),
	A("chunk lines in the data", HTTP_POST, "/", NULL, "0\r\n\r\n", true, 0,
	    CH("5\r\n0\r\n\r\n\r\n0\r\n\r\n")),
	A("trailers are dropped", HTTP_POST, "/", NULL, "a", true, 0,
	    CH("1\r\na\r\n0\r\nContent-Length: 9\r\nHost: x\r\n\r\n")),
	A("close", HTTP_GET, "/", NULL, "", false, 0,
	    GET("Connection: close\r\n")),
	A("close in a list", HTTP_GET, "/", NULL, "", false, 0,
	    GET("Connection: a , CLOSE\t, keep-alive\r\n")),
	A("close in a second field", HTTP_GET, "/", NULL, "", false, 0,
	    GET("Connection: keep-alive\r\nConnection: close\r\n")),
	A("not close", HTTP_GET, "/", NULL, "", true, 0,
	    GET("Connection: closed, xclose, clos\r\n")),
	A("1.0 closes", HTTP_GET, "/", NULL, "", false, 0,
	    "GET / HTTP/1.0\r\n\r\n"),
	A("1.0 kept alive", HTTP_GET, "/", NULL, "", true, 0,
	    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
	A("1.0 with a body", HTTP_POST, "/", NULL, "hey", false, 0,
	    "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nhey"),
};

/* ---- feeding ---- */

struct fed {
	struct http_parser p;
	char *buf;
	size_t len;
	int end;
	unsigned heads;
};

static void
fed_init(struct fed *f, size_t cap)
{
	memset(f, 0, sizeof(*f));
	f->p.max_head = 1024;
	f->p.max_body = 4096;
	http_parser_reset(&f->p);
	f->buf = malloc(cap + 1);
	assert_non_null(f->buf);
	f->end = MORE;
}

/* The contents in exactly as much memory, so that ASan sees one byte more. */
static void
feed(struct fed *f, const char *in, size_t n, bool compact)
{
	char *tight;
	enum http_event ev;

	if (f->end != MORE)
		return;
	if (compact)
		f->len = http_parser_compact(&f->p);
	tight = malloc(f->len + n + (f->len + n == 0));
	assert_non_null(tight);
	memcpy(tight, f->buf, f->len);
	memcpy(tight + f->len, in, n);
	f->len += n;
	while ((ev = http_parser_feed(&f->p, tight, f->len)) == HTTP_EV_HEAD)
		f->heads++;
	if (ev == HTTP_EV_MORE)
		assert_int_equal(f->p.pos, f->len);
	else
		f->end = ev == HTTP_EV_DONE ? OK : f->p.status;
	memcpy(f->buf, tight, f->len);
	free(tight);
}

static void
check_end(const char *name, const char *how, const struct fed *f, int want)
{
	if (f->end != want)
		fail_msg("%s, %s: ended %d (%s), not %d", name, how, f->end,
		    f->p.why != NULL ? f->p.why : "", want);
	if (want > 0)
		assert_non_null(f->p.why);
	assert_true(f->heads <= 1);
	if (want == OK)
		assert_int_equal(f->heads, 1);
}

static void
check_reading(const struct reading *r, const struct fed *f, size_t unfed)
{
	const struct http_parser *p = &f->p;
	const char *path = f->buf + p->path_off;

	assert_int_equal(p->method, r->method);
	assert_int_equal(p->path_len, strlen(r->path));
	assert_string_equal(path, r->path);
	if (r->query == NULL)
		assert_int_equal(p->query_off, 0);
	else
		assert_string_equal(f->buf + p->query_off, r->query);
	assert_int_equal(p->body_len, strlen(r->body));
	assert_memory_equal(f->buf + p->body_off, r->body, p->body_len);
	assert_int_equal(p->keep_alive, r->keep_alive);
	assert_int_equal(f->len - p->pos + unfed, r->rest);
}

/*
 * cut 0: whole; SIZE_MAX and SIZE_MAX - 1: byte by byte; else two parts. An odd
 * cut forgets used chunk lines between the parts.
 */
static void
run(const char *name, const char *in, size_t len, size_t cut, int want,
    const struct reading *r)
{
	struct fed f;
	size_t fed = 0, n;
	char how[32];

	snprintf(how, sizeof(how), "cut at %zd", (ssize_t)cut);
	fed_init(&f, len);
	while (fed < len && f.end == MORE) {
		n = fed == 0 && cut > 0 ? cut : len - fed;
		if (cut >= SIZE_MAX - 1)
			n = 1;
		feed(&f, in + fed, n, cut % 2 == 1);
		fed += n;
	}
	check_end(name, how, &f, want);
	if (r != NULL)
		check_reading(r, &f, len - fed);
	free(f.buf);
}

static void
run_all(const char *name, const char *in, size_t len, int want,
    const struct reading *r)
{
	size_t cut;

	run(name, in, len, SIZE_MAX, want, r);
	run(name, in, len, SIZE_MAX - 1, want, r);
	for (cut = 0; cut < len; cut++)
		run(name, in, len, cut, want, r);
}

static void
run_table(const struct refusal *t, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		run_all(t[i].name, t[i].in, t[i].len, t[i].end, NULL);
}

#define TABLE_TEST(table)                          \
	static void test_##table(void **state)     \
	{                                          \
		run_table(table, AX_NELEM(table)); \
	}

TABLE_TEST(fragments)
TABLE_TEST(h1spec)
TABLE_TEST(lines)
TABLE_TEST(fields)
TABLE_TEST(lengths)
TABLE_TEST(codings)
TABLE_TEST(chunks)

static void
test_readings(void **state)
{
	size_t i;

	for (i = 0; i < AX_NELEM(readings); i++)
		run_all(readings[i].name, readings[i].in, readings[i].len, OK,
		    &readings[i]);
}

/* ---- classes of bytes, one byte at a time ---- */

static int
end_of(const char *in, size_t len)
{
	struct fed f;

	fed_init(&f, len);
	feed(&f, in, len, false);
	free(f.buf);
	return (f.end);
}

static void
check_class(const char *before, const char *after, const char *allowed)
{
	char in[256];
	size_t b = strlen(before), a = strlen(after);
	int c, want;

	for (c = 1; c < 256; c++) {
		memcpy(in, before, b);
		in[b] = (char)c;
		memcpy(in + b + 1, after, a);
		want = strchr(allowed, c) != NULL ? OK : 400;
		if (end_of(in, b + a + 1) != want)
			fail_msg("%s<%02x>: not %d", before, (unsigned)c, want);
	}
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void
test_classes(void **state)
{
	/* A '%' needs digits behind it, a '?' starts the query. */
	check_class("GET /", "%41 HTTP/1.1\r\n" H "\r\n",
	    ALNUM "-._~!$&'()*+,;=:@/?");
	check_class("X", "X / HTTP/1.1\r\n" H "\r\n", ALNUM "!#$%&'*+-.^_`|~");
	check_class("GET / HTTP/1.1\r\n" H "X", "Y: b\r\n\r\n",
	    ALNUM "!#$%&'*+-.^_`|~:");
	check_class("GET / HTTP/1.1\r\nHost: a", "1\r\n\r\n",
	    ALNUM "-._~!$&'()*+;=:");
}

/* ---- limits ---- */

static char *
repeat(const char *head, const char *unit, size_t n, const char *tail,
    size_t *len)
{
	size_t h = strlen(head), u = strlen(unit), t = strlen(tail), i;
	char *s = malloc(h + u * n + t + 1);

	assert_non_null(s);
	memcpy(s, head, h);
	for (i = 0; i < n; i++)
		memcpy(s + h + i * u, unit, u);
	memcpy(s + h + u * n, tail, t + 1);
	*len = h + u * n + t;
	return (s);
}

static void
check_repeat(const char *head, const char *unit, size_t n, const char *tail,
    size_t max_head, int want)
{
	struct fed f;
	size_t len, i;
	char *s = repeat(head, unit, n, tail, &len);

	fed_init(&f, len);
	f.p.max_head = max_head;
	feed(&f, s, len, false);
	check_end(unit, "whole", &f, want);
	free(f.buf);
	fed_init(&f, len);
	f.p.max_head = max_head;
	for (i = 0; i < len; i += 97)
		feed(&f, s + i, len - i < 97 ? len - i : 97, true);
	check_end(unit, "in pieces", &f, want);
	free(f.buf);
	free(s);
}

static void
test_limits(void **state)
{
	const char *start = "GET / HTTP/1.1\r\n" H;
	const char *chunked = "POST / HTTP/1.1\r\n" H
			      "Transfer-Encoding: chunked\r\n\r\n";

	check_repeat(start, "A: b\r\n", HTTP_FIELDS_MAX - 1, "\r\n", 8192, OK);
	check_repeat(start, "A: b\r\n", HTTP_FIELDS_MAX, "\r\n", 8192, 431);
	check_repeat(start, "A: b\r\n", 100000, "\r\n", 1 << 20, 431);
	check_repeat("GET / HTTP/1.1\r\nA: ", "b", 1 << 20, "\r\n\r\n", 16384,
	    431);
	check_repeat("GET / HTTP/1.1\r\n", "b", 70000, ": c\r\n\r\n", 1 << 20,
	    431);
	check_repeat("GET /", "a", HTTP_TARGET_MAX - 1, " HTTP/1.0\r\n\r\n",
	    16384, OK);
	check_repeat("GET /", "a", HTTP_TARGET_MAX, " HTTP/1.0\r\n\r\n", 16384,
	    414);
	check_repeat("GET /", "a", 2000, " HTTP/1.0\r\n\r\n", 1024, 414);
	/* The head may be exactly as long as allowed. */
	check_repeat("GET / HTTP/1.0\r\nA: ", "b", 1024 - 23, "\r\n\r\n", 1024,
	    OK);
	check_repeat("GET / HTTP/1.0\r\nA: ", "b", 1024 - 22, "\r\n\r\n", 1024,
	    431);
	check_repeat(chunked, "1\r\na\r\n", 4096, "0\r\n\r\n", 1024, OK);
	check_repeat(chunked, "1\r\na\r\n", 4097, "0\r\n\r\n", 1024, 413);
	check_repeat(chunked, "1;xxxxxxxx\r\na\r\n", 1800, "0\r\n\r\n", 1024,
	    OK);
	check_repeat(chunked, "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n", 600,
	    "0\r\n\r\n", 1024, 400);
	check_repeat("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: chunked\r\n\r\n1;",
	    "x", 257, "\r\na\r\n0\r\n\r\n", 1024, 400);
	check_repeat("POST / HTTP/1.1\r\n" H
		     "Transfer-Encoding: chunked\r\n\r\n0\r\n",
	    "a: b\r\n", 5000, "\r\n", 1024, 431);
}

static void
test_lower_max_body(void **state)
{
	static const char in[] = CL("5");
	struct fed f;

	fed_init(&f, sizeof(in));
	memcpy(f.buf, in, sizeof(in));
	f.len = sizeof(in) - 1;
	assert_int_equal(http_parser_feed(&f.p, f.buf, f.len), HTTP_EV_HEAD);
	assert_true(http_parser_in_body(&f.p));
	f.p.max_body = 4;
	assert_int_equal(http_parser_feed(&f.p, f.buf, f.len), HTTP_EV_ERROR);
	assert_int_equal(f.p.status, 413);
	free(f.buf);
}

static void
test_field_lookup(void **state)
{
	static const char in[] = GET("X-Key:  one \r\nx-KEY:two\r\nEmpty:\r\n");
	struct fed f;

	fed_init(&f, sizeof(in));
	feed(&f, in, sizeof(in) - 1, false);
	assert_int_equal(f.end, OK);
	assert_string_equal(http_parser_field(&f.p, f.buf, "x-key", 0), "one");
	assert_string_equal(http_parser_field(&f.p, f.buf, "x-key", 1), "two");
	assert_null(http_parser_field(&f.p, f.buf, "x-key", 2));
	assert_string_equal(http_parser_field(&f.p, f.buf, "empty", 0), "");
	assert_null(http_parser_field(&f.p, f.buf, "x-ke", 0));
	assert_string_equal(f.buf + f.p.method_off, "GET");
	free(f.buf);
}

static void
test_expect_continue(void **state)
{
	static const struct {
		const char *in;
		bool want;
	} t[] = {
		{ POST("Expect: 100-Continue\r\nContent-Length: 5\r\n", ""),
		    true },
		{ POST("Expect: 100-continue\r\nTransfer-Encoding: "
		       "chunked\r\n",
		      ""),
		    true },
		{ POST("Expect: 100-continue\r\nContent-Length: 0\r\n", ""),
		    false },
		{ POST("Expect: 100-continue\r\n", ""), false },
		{ "POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
		  "Content-Length: 5\r\n\r\n",
		    false },
	};
	struct fed f;
	size_t i;

	for (i = 0; i < AX_NELEM(t); i++) {
		fed_init(&f, strlen(t[i].in));
		feed(&f, t[i].in, strlen(t[i].in), false);
		assert_int_equal(f.heads, 1);
		assert_int_equal(f.p.expect_continue, t[i].want);
		free(f.buf);
	}
}

/* Two requests in one buffer, the parser reset between them. */
static void
test_pipeline(void **state)
{
	char in[] = CH("3\r\nabc\r\n0\r\n\r\n") "HEAD /b HTTP/1.1\r\n" H "\r\n";
	struct http_parser p = { .max_head = 1024, .max_body = 16 };
	char *at = in;
	size_t len = sizeof(in) - 1;

	http_parser_reset(&p);
	assert_true(http_parser_idle(&p));
	assert_int_equal(http_parser_feed(&p, at, len), HTTP_EV_HEAD);
	assert_int_equal(http_parser_feed(&p, at, len), HTTP_EV_DONE);
	assert_memory_equal(at + p.body_off, "abc", 3);
	at += p.pos;
	len -= p.pos;
	http_parser_reset(&p);
	assert_int_equal(http_parser_feed(&p, at, len), HTTP_EV_HEAD);
	assert_int_equal(http_parser_feed(&p, at, len), HTTP_EV_DONE);
	assert_int_equal(p.method, HTTP_HEAD);
	assert_string_equal(at + p.path_off, "/b");
	assert_int_equal(p.body_len, 0);
	assert_int_equal(p.pos, len);
}

static void
test_unescape(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
		bool plus;
	} t[] = {
		{ "", "", false },
		{ "/a/b", "/a/b", false },
		{ "%41%6a%6A", "Ajj", false },
		{ "a+b%2B", "a+b+", false },
		{ "a+b%2B", "a b+", true },
		{ "%C3%A9", "\xc3\xa9", false },
		{ "%c3", NULL, false },
		{ "%c0%80", NULL, false },
		{ "%ed%a0%80", NULL, false },
		{ "%ff", NULL, false },
		{ "%00", NULL, false },
		{ "%", NULL, false },
		{ "%4", NULL, false },
		{ "%4g", NULL, false },
		{ "%-1", NULL, false },
	};
	char out[64];
	size_t i;
	long n;

	for (i = 0; i < AX_NELEM(t); i++) {
		n = http_unescape(out, t[i].in, strlen(t[i].in), t[i].plus);
		if (t[i].out == NULL) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_int_equal(n, strlen(t[i].out));
		assert_string_equal(out, t[i].out);
	}
	assert_int_equal(http_unescape(out, "a\0b", 3, false), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_h1spec),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_codings),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_readings),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_lower_max_body),
		cmocka_unit_test(test_field_lookup),
		cmocka_unit_test(test_expect_continue),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_unescape),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
