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
dnl AX_STATIC_VERIFY: VERIFY_STATIC (linker flags) and VERIFY_STATIC_LIBS. Builds
dnl with sanitizers, and machines without the static libraries, link dynamically.
AC_DEFUN([AX_STATIC_VERIFY], [
	VERIFY_STATIC=
	VERIFY_STATIC_LIBS=
	ax_verify_static=dynamic
	ax_save_ldflags="$LDFLAGS"
	ax_save_libs="$LIBS"
	AS_IF([test "$enable_sanitizers" != yes && test "$enable_fuzzers" != yes], [
		for ax_flag in -static-pie -static; do
			AC_MSG_CHECKING([whether archillx-verify links with $ax_flag])
			LDFLAGS="$ax_save_ldflags $AX_LDFLAGS $ax_flag"
			AS_IF([test $ax_flag = -static],
			    [LDFLAGS="$ax_save_ldflags $ax_flag -no-pie"])
			LIBS="$CRYPTO_LIBS $ZSTD_LIBS -ldl -lpthread"
			AC_LINK_IFELSE([AC_LANG_PROGRAM([
#include <openssl/evp.h>
#include <zstd.h>
			    ], [
return (EVP_MD_fetch(NULL, "SHA256", NULL) == NULL || ZSTD_createDCtx() == NULL);
			    ])], [
				AC_MSG_RESULT([yes])
				VERIFY_STATIC="$ax_flag"
				AS_IF([test $ax_flag = -static],
				    [VERIFY_STATIC="-static -no-pie"])
				VERIFY_STATIC_LIBS="-ldl -lpthread"
				ax_verify_static="static ($ax_flag)"
				break
			    ], [AC_MSG_RESULT([no])])
		done
		AS_IF([test -z "$VERIFY_STATIC"],
		    [AC_MSG_NOTICE([archillx-verify is linked dynamically: libcrypto.a or libzstd.a is not to be had])])
	])
	LDFLAGS="$ax_save_ldflags"
	LIBS="$ax_save_libs"
	AC_SUBST([VERIFY_STATIC])
	AC_SUBST([VERIFY_STATIC_LIBS])
])
