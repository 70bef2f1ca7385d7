/* unit.h - cmocka, after the headers it needs before it. */
#ifndef CARILLON_TESTS_SUPPORT_UNIT_H
#define CARILLON_TESTS_SUPPORT_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "common/base/str.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Compares bytes with a literal and shows both when they differ. */
static inline void assert_str(struct str found, const char *expected)
{
    if (!str_eq_cstr(found, expected))
        fail_msg("expected: %s\nfound:    %.*s", expected, STR_ARG(found));
}

#endif
