/* SPDX-License-Identifier: ISC */
#ifndef AX_PATTERN_H
#define AX_PATTERN_H

/*
 * NULL if regcomp(3) and regexec(3) take at most milliseconds and a few
 * megabytes over the extended regular expression, and time linear in the text;
 * else why not, for the operator. What is no regular expression at all is left
 * to regcomp(3).
 */
const char *pattern_costly(const char *pattern);

#endif
