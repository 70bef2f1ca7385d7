/* api_fixture.c - see api_fixture.h. */
#include "tests/unit/api/api_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void keep_publication(struct fixture *f, struct publication *publication)
{
    assert_true(f->publication_count < KEPT_MAX);
    f->publications[f->publication_count++] = publication;
    if (f->answers_at_once)
        answer_publication(f, f->publication_count - 1);
}

static void take_request(void *owner, struct request *request)
{
    struct fixture *f = owner;
    if (request->kind == REQUEST_PUBLISH) {
        keep_publication(f, publication_of(request));
    } else if (request->kind == REQUEST_SURVEY) {
        assert_null(f->survey);
        f->survey = survey_of(request);
    } else if (request->kind == REQUEST_HISTORY) {
        assert_null(f->read);
        f->read = history_read_of(request);
    } else {
        assert_null(f->request);
        f->request = request;
    }
}

static enum broker_state tell_broker_state(void *owner)
{
    return ((struct fixture *)owner)->broker_state;
}

static bool tell_draining(void *owner)
{
    return ((struct fixture *)owner)->draining;
}

static void write_metrics(void *owner, struct buf *out)
{
    (void)owner;
    buf_append_lit(out, "# EOF\n");
}

static uint64_t tell_now(void *owner)
{
    (void)owner;
    return 77;
}

static uint64_t tell_wall(void *owner)
{
    (void)owner;
    return 1000000;
}

static size_t tell_revocations(void *owner)
{
    return ((struct fixture *)owner)->revocation_count;
}

static const struct api_ops ops = {
    .broker_state = tell_broker_state,
    .draining = tell_draining,
    .metrics_text = write_metrics,
    .now_us = tell_now,
    .wall_ms = tell_wall,
    .ask = take_request,
    .revocation_count = tell_revocations,
};

void fixture_setup(struct fixture *f)
{
    const struct api_identity identity = {
        .node_id = STR("node-0"), .build = STR("{\"version\":\"1.2.3\"}"), .broker_kind = "memory"};
    struct rule rule[] = {{.match = STR("log:*"), .allow = ALLOW_ALL, .history = {.size = 10, .ttl_ms = 1000}}};
    memset(f, 0, sizeof *f);
    f->rules = rules_create(rule, COUNT_OF(rule));
    f->keys[0] = STR(KEY);
    f->broker_state = BROKER_UP;
    f->config = (struct api_config){
        .keys = f->keys,
        .key_count = 1,
        .event_bytes = 100,
        .max_batch = 5,
        .rules = f->rules,
        .custom_events = true,
        .revocation_ttl_ms = 5000,
        .revocations_max = 10,
        .ticket_claims_bytes = 1000,
    };
    metrics_init(&f->metrics, 0);
    f->api = api_create(&f->config, &ops, f, &identity, &f->metrics, NULL);
}

void fixture_teardown(struct fixture *f)
{
    api_destroy(f->api);
    rules_unref(f->rules);
}

static void note_response(struct http_call *call)
{
    CONTAINER_OF(call, struct router_of, call)->responses++;
}

void send_http(struct fixture *f, struct router_of *x, const struct http_request *request)
{
    *x = (struct router_of){.call = {.request = *request, .respond = note_response}};
    api_handle(f->api, &x->call);
}

void send_request(struct fixture *f, struct router_of *x, const char *method, const char *target, const char *body)
{
    struct str query = str_from_cstr(target);
    struct str path = str_split(&query, '?');
    struct http_request request = {
        .method = str_from_cstr(method),
        .path = path,
        .query = query.ptr ? query : STR(""),
        .authorization = STR("Bearer " KEY),
        .api_key = STR(""),
        .content_type = STR(""),
        .body = str_from_cstr(body),
        .address = STR("127.0.0.1"),
    };
    send_http(f, x, &request);
}

static void check_response(struct router_of *x, int status, const char *text)
{
    if (x->responses != 1 || x->call.response.status != status)
        fail_msg("%u responses, status %d, expected %d %s: %s", x->responses, x->call.response.status, status, text,
                 buf_cstr(&x->call.response.body));
}

void expect(struct router_of *x, int status, const char *body)
{
    check_response(x, status, body);
    assert_str(buf_str(&x->call.response.body), body);
    buf_fini(&x->call.response.body);
}

void expect_part(struct router_of *x, int status, const char *part)
{
    check_response(x, status, part);
    if (!strstr(buf_cstr(&x->call.response.body), part))
        fail_msg("%s is not in %s", part, buf_cstr(&x->call.response.body));
    buf_fini(&x->call.response.body);
}

static struct publication *take(struct fixture *f, size_t index)
{
    assert_true(index < f->publication_count && f->publications[index]);
    struct publication *publication = f->publications[index];
    f->publications[index] = NULL;
    return publication;
}

void answer_publication(struct fixture *f, size_t index)
{
    struct publication *publication = take(f, index);
    snprintf(publication->id, sizeof publication->id, "id-%zu", index);
    if (publication->history.size) {
        strcpy(publication->epoch, "e");
        publication->offset = index + 1;
    }
    publication->base.done(&publication->base, f);
}

void fail_publication(struct fixture *f, size_t index, enum err code)
{
    struct publication *publication = take(f, index);
    request_fail(&publication->base, code, "the broker says no");
    publication->base.retry_after_ms = 2500;
    publication->base.done(&publication->base, f);
}

void answer_survey(struct fixture *f)
{
    struct survey *survey = f->survey;
    assert_non_null(survey);
    f->survey = NULL;
    survey->base.done(&survey->base, f);
}
