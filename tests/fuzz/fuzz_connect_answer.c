/* fuzz_connect_answer.c - a backend's answer to connect, and the fields of its answers' heads. Claims that come of it
 * are claims, and they have a user. */
#include <stdlib.h>

#include "server/upstream/answer_orders.h"
#include "server/upstream/cloudevents.h"
#include "server/upstream/connect_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from((const char *)bytes, len), rest = text, name, reason;
    struct claims *before = NULL;
    struct connect_answer answer;
    struct error error;
    int code;
    require(claims_parse(STR("{\"sub\":\"ann\",\"role\":\"x\"}"), &before, NULL) == ERR_NONE);
    if (connect_answer_read(text, len % 2, before, &answer, &error) == ERR_NONE) {
        require(!answer.claims || answer.claims->sub.len > 0);
        require(connection_state_is_valid(buf_str(&answer.state)));
        connect_answer_fini(&answer);
    }
    claims_unref(before);
    while (answer_next_name(&rest, &name))
        require(name.len > 0);
    if (answer_close(text, &code, &reason))
        require(code >= 1000 && code <= 4999 && reason.len <= ANSWER_REASON_MAX && str_is_utf8(reason));
    traceparent_is_valid(text);
    return 0;
}
