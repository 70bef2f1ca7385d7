/* fuzz_request_head.c - request heads as strangers send them. An upgrade in an accepted head can be answered. A head
 * that comes byte by byte means the same. */
#include <stdlib.h>

#include "common/protocol/http_answer.h"
#include "common/protocol/ws_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The answer is one head of a server, and a client takes it. */
static void check_answer(const struct http_head *head)
{
    struct buf out = {0};
    struct http_answer answer;
    struct str value;
    size_t scanned = 0;
    ws_handshake_answer(&out, head, STR("carillon.v1"));
    require(http_answer_parse(buf_str(&out), out.len, &scanned, &answer, NULL) == HTTP_HEAD_DONE);
    require(answer.status == 101 && http_fields_find(&answer.fields, STR("sec-websocket-accept"), &value));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str input = str_from((const char *)bytes, len);
    struct http_head head, slowly;
    struct error error;
    size_t scanned = 0, kept = 0, at = 0;
    enum http_head_result result = http_head_parse(input, 4096, &scanned, &head, &error), slow_result;
    do
        slow_result = http_head_parse(str_from(input.ptr, at), 4096, &kept, &slowly, NULL);
    while (slow_result == HTTP_HEAD_NEED_MORE && at++ < len);
    require(result == slow_result);
    if (result == HTTP_HEAD_BAD)
        require(head.status == slowly.status && error.text[0] != '\0');
    if (result != HTTP_HEAD_DONE)
        return 0;
    require(head.length <= len && head.length == slowly.length &&
            (head.path.ptr[0] == '/' || str_eq(head.method, STR("OPTIONS"))));
    http_head_keep_alive(&head);
    if (ws_handshake_check(&head, &error) == WS_HANDSHAKE_WEBSOCKET)
        check_answer(&head);
    struct buf scratch = {0};
    struct str value;
    if (http_query_get(head.query, STR("token"), &scratch, &value, &error) == ERR_NONE && value.len)
        require(memchr(value.ptr, '\0', value.len) == NULL);
    buf_fini(&scratch);
    return 0;
}
