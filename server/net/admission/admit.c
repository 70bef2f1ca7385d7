/* admit.c - see admit.h. */
#include "server/net/admission/admit.h"

#include "common/protocol/reply.h"
#include "common/protocol/ws_frame.h"
#include "server/net/http/answer.h"

static enum reason verify(void *owner, struct str token, struct claims **out_claims)
{
    return worker_verify(owner, token, out_claims);
}

/* Of all, of the client's address, of the endpoint, of the user. */
static bool take_leases(const struct applicant *applicant, const struct address *client,
                        const struct admission *admission)
{
    struct quota *quota = applicant->worker->quota;
    const struct net_settings *settings = applicant->worker->settings;
    struct lease *lease = applicant->lease;
    char key[ADDRESS_KEY_LEN + 1];
    const struct claims *claims = admission->claims;
    bool is_proxy = cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, client);
    size_t of_user = claims->session_limit ? (size_t)claims->session_limit : settings->max_per_user;
    return lease_take(lease, quota, "all", STR(""), settings->max_connections) &&
           (is_proxy || lease_take(lease, quota, "address", str_from_cstr(address_key(client, key)),
                                   net_settings_max_of(settings, client))) &&
           lease_take(lease, quota, "endpoint", admission->endpoint->path, admission->endpoint->max_connections) &&
           lease_take(lease, quota, "user", claims->sub, of_user);
}

static bool is_full(const struct worker *worker)
{
    size_t max = worker->settings->max_connections;
    return max && quota_count(worker->quota, STR("all:")) >= max;
}

void admit(const struct applicant *applicant, struct admission *out, struct address *out_client)
{
    struct worker *worker = applicant->worker;
    const struct net_settings *settings = worker->settings;
    struct admission_request request = {
        .settings = settings,
        .head = applicant->head,
        .unavailable = worker->unavailable,
        .verify = verify,
        .owner = worker,
    };
    if (request.unavailable == REASON_NONE && is_full(worker)) /* before the work of a verification */
        request.unavailable = REASON_CONNECTION_LIMIT;
    admission_decide(&request, out);
    *out_client = address_of_client(applicant->peer, &applicant->head->fields, settings->trusted_proxies,
                                    settings->trusted_proxy_count);
    if (out->outcome == ADMITTED && !take_leases(applicant, out_client, out)) {
        lease_release(applicant->lease, worker->quota);
        admission_refuse(&request, out, REASON_CONNECTION_LIMIT);
    }
    if (out->outcome != ADMITTED)
        metrics_add_labelled(worker->metrics, METRIC_CONNECTIONS_REFUSED, out->reason, 1);
}

void admit_write_refusal(struct buf *out, struct worker *worker, const struct admission *admission, bool head_only)
{
    const struct answer answer = {
        .status = admission->status,
        .retry_after_s = admission->retry_after_s,
        .wall_ms = hub_wall_ms(worker->hub),
        .close = true,
        .websocket_wanted = admission->status == 426,
    };
    buf_clear(out);
    answer_write_error(out, &answer, admission->error.code, str_from_cstr(admission->error.text), admission->reason,
                       head_only);
}

void admit_write_close(struct buf *out, enum reason reason, int close_code)
{
    struct buf text = {0};
    uint8_t head[WS_HEADER_MAX], end[2 + WS_CONTROL_MAX];
    reply_error(&text, STR(""), reason_err(reason), str_from_cstr(reason_sentence(reason)), STR(""));
    buf_append(out, str_from((char *)head, ws_frame_header(head, WS_TEXT, text.len)));
    buf_append(out, buf_str(&text));
    buf_append(out, str_from((char *)end, ws_frame_close(end, close_code, str_from_cstr(reason_text(reason)))));
    buf_fini(&text);
}
