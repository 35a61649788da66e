dnl AX_CFLAG(flag): adds it to AX_CFLAGS when the compiler takes it.
AC_DEFUN([AX_CFLAG], [
	AC_MSG_CHECKING([whether $CC takes $1])
	ax_save="$CFLAGS"
	CFLAGS="$CFLAGS -Werror $1"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
	    [AC_MSG_RESULT([yes]); AX_CFLAGS="$AX_CFLAGS $1"],
	    [AC_MSG_RESULT([no])])
	CFLAGS="$ax_save"
])
dnl AX_LDFLAG(flag): adds it to AX_LDFLAGS when the linker takes it.
AC_DEFUN([AX_LDFLAG], [
	AC_MSG_CHECKING([whether the linker takes $1])
	ax_save="$LDFLAGS"
	LDFLAGS="$LDFLAGS $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
	    [AC_MSG_RESULT([yes]); AX_LDFLAGS="$AX_LDFLAGS $1"],
	    [AC_MSG_RESULT([no])])
	LDFLAGS="$ax_save"
])
AC_DEFUN([AX_COMMON_WARNINGS], [
	AX_CFLAG([-std=gnu11])
	AX_CFLAG([-Wall])
	AX_CFLAG([-Wextra])
	AX_CFLAG([-Wformat=2])
	AX_CFLAG([-Wshadow])
	AX_CFLAG([-Wstrict-prototypes])
	AX_CFLAG([-Wmissing-prototypes])
	AX_CFLAG([-Wvla])
	AX_CFLAG([-Wimplicit-fallthrough])
	AX_CFLAG([-Wbidi-chars=any])
	AX_CFLAG([-Wno-unused-parameter])
])
AC_DEFUN([AX_HARDENING], [
	AX_CFLAG([-fstack-protector-strong])
	AX_CFLAG([-fstack-clash-protection])
	AX_CFLAG([-fcf-protection=full])
	AX_CFLAG([-ftrivial-auto-var-init=zero])
	AX_CFLAG([-fno-delete-null-pointer-checks])
	AX_CFLAG([-fno-strict-overflow])
	AX_CFLAG([-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3])
	AX_CFLAG([-fPIE])
	AX_LDFLAG([-pie])
	AX_LDFLAG([-Wl,-z,relro])
	AX_LDFLAG([-Wl,-z,now])
	AX_LDFLAG([-Wl,-z,noexecstack])
	AX_LDFLAG([-Wl,-z,separate-code])
	AX_LDFLAG([-Wl,--as-needed])
])
