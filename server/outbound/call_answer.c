/* call_answer.c - what came for a call, on its way to the caller. All that a turn of the outbound thread brings for one
 * call is one piece of mail: a short answer costs one. */
#include <assert.h>

#include "common/base/alloc.h"
#include "server/outbound/outbound_private.h"

const char *outbound_result_text(enum outbound_result result)
{
#define RESULT_TEXT(symbol, text) text,
    static const char *const texts[] = {"ok", METRICS_UPSTREAM_FAILURES(RESULT_TEXT)};
    static_assert(sizeof texts / sizeof *texts == OUTBOUND_RESULT_COUNT, "a result and a label for each other");
    return texts[result];
}

unsigned outbound_outcome(enum outbound_result result, int status)
{
    return result == OUTBOUND_OK ? metrics_status(status)
                                 : METRICS_OUTCOME_REFUSED + (unsigned)result - OUTBOUND_REFUSED;
}

enum breaker_verdict outbound_verdict(enum outbound_result result, int status)
{
    switch (result) {
    case OUTBOUND_OK: return status == 502 || status == 503 || status == 504 ? BREAKER_IS_DOWN : BREAKER_ANSWERS;
    case OUTBOUND_TOO_LARGE: return BREAKER_ANSWERS;
    case OUTBOUND_CANCELLED: return BREAKER_UNKNOWN;
    default: return BREAKER_IS_DOWN;
    }
}

void call_release(struct outbound_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1)
        free(call);
}

size_t call_unacked(const struct outbound_call *call)
{
    return call->sent - atomic_load(&call->acked);
}

/* --- the caller's thread ------------------------------------------------------------------------------------------ */

static void tell_head(const struct call_news *news, void *mailbox_owner)
{
    struct outbound_head head = {.status = news->status};
    struct str texts = buf_str(&news->bytes);
    head.content_type = str_from(texts.ptr, news->head_len[0]);
    texts = str_skip(texts, news->head_len[0]);
    for (size_t i = 0; i < OUTBOUND_FIELDS_MAX; i++) {
        head.fields[i] = str_from(texts.ptr, news->head_len[i + 1]);
        texts = str_skip(texts, news->head_len[i + 1]);
    }
    news->call->ops->head(news->call, mailbox_owner, &head);
}

static void deliver(struct mail *mail, void *mailbox_owner)
{
    struct call_news *news = CONTAINER_OF(mail, struct call_news, mail);
    struct outbound_call *call = news->call;
    if (news->has_head && !call->cancelled)
        tell_head(news, mailbox_owner);
    const char *body = buf_str(&news->bytes).ptr + (news->bytes.len - news->text_len - news->body_len);
    if (news->body_len && !call->cancelled)
        call->ops->body(call, mailbox_owner, str_from(body, news->body_len));
    if (news->has_end) {
        const struct outbound_end end = {
            .result = news->result,
            .status = news->status,
            .text = news->text_len ? str_from(body + news->body_len, news->text_len) : STR(""),
            .duration_us = news->duration_us,
        };
        if (!call->cancelled)
            call->ops->end(call, mailbox_owner, &end);
        call_release(call);
    }
    buf_fini(&news->bytes);
    free(news);
}

/* --- the outbound thread ------------------------------------------------------------------------------------------ */

static struct call_news *news_of(struct outbound_call *call)
{
    if (!call->news) {
        call->news = xcalloc(1, sizeof *call->news);
        call->news->mail.deliver = deliver;
        call->news->call = call;
        list_append(&call->outbound->news, &call->news_link);
    }
    return call->news;
}

void call_add_head(struct outbound_call *call, int status, const struct buf *fields)
{
    struct call_news *news = news_of(call);
    news->has_head = true;
    news->status = call->status = status;
    for (size_t i = 0; i < OUTBOUND_FIELDS_MAX + 1; i++) {
        news->head_len[i] = (uint32_t)fields[i].len;
        buf_append(&news->bytes, buf_str(&fields[i]));
    }
}

void call_add_body(struct outbound_call *call, struct str part)
{
    struct call_news *news = news_of(call);
    buf_append(&news->bytes, part);
    news->body_len += part.len;
    call->sent += part.len;
}

void call_add_end(struct outbound_call *call, enum outbound_result result, int status, struct str text,
                  uint64_t duration_us)
{
    struct call_news *news = news_of(call);
    news->has_end = true;
    news->result = result;
    news->status = status;
    news->duration_us = duration_us;
    news->text_len = (uint32_t)text.len;
    buf_append(&news->bytes, text);
    atomic_store(&call->finished, true);
    atomic_fetch_sub(&call->outbound->calls, 1);
}

void call_post_news(struct outbound *outbound)
{
    for (struct list_link *link; (link = list_take_first(&outbound->news));) {
        struct outbound_call *call = CONTAINER_OF(link, struct outbound_call, news_link);
        struct call_news *news = call->news;
        call->news = NULL;
        mailbox_post(call->reply_to, &news->mail); /* the call may be gone now */
    }
}
