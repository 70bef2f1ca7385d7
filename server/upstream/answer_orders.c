/* answer_orders.c - see answer_orders.h. */
#include "server/upstream/answer_orders.h"

#include "common/protocol/reason.h"

bool answer_next_name(struct str *rest, struct str *out_name)
{
    while (rest->ptr) {
        struct str name = str_trim(str_split(rest, ','));
        if (name.len) {
            *out_name = name;
            return true;
        }
    }
    return false;
}

bool answer_close(struct str value, int *out_code, struct str *out_reason)
{
    bool possible;
    uint64_t code;
    struct str rest = str_trim(value);
    if (rest.len == 0 || !str_to_u64(str_split(&rest, ' '), &code) || !close_code_may_be_sent(code))
        return false;
    struct str reason = rest.ptr ? str_trim(rest) : STR("");
    if (!str_is_utf8(reason))
        return false;
    if (reason.len > ANSWER_REASON_MAX)
        reason.len = str_utf8_prefix(str_from(reason.ptr, ANSWER_REASON_MAX), &possible);
    *out_code = (int)code;
    *out_reason = reason;
    return true;
}
