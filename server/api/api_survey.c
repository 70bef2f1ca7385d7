/* api_survey.c - questions to every worker of every node, and the answers, which may be pages. */
#include "common/protocol/http_head.h"
#include "server/api/api_private.h"

enum { PAGE_DEFAULT = 100 };

void api_survey(const struct api_request *request, const struct control_request *question, api_answer *answer)
{
    struct error error;
    if (control_check(question, &error)) {
        api_respond_error(request, &error);
        return;
    }
    api_ask(request, &survey_create(question)->base, answer);
}

void api_respond_survey(const struct api_request *request, const struct survey *survey)
{
    struct buf *out = &request->call->response.body;
    if (survey->partial)
        buf_appendf(out, ",\"partial\":true,\"nodes_asked\":%zu,\"nodes_answered\":%zu", survey->nodes_asked,
                    survey->nodes_answered);
    buf_append_char(out, '}');
    api_respond(request, 200);
}

void api_respond_count(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    struct buf *out = &request->call->response.body;
    buf_appendf(out, "{\"count\":%llu", (unsigned long long)survey->result.count);
    api_respond_survey(request, survey);
}

static enum err read_limit(struct str text, uint64_t *out, struct error *error)
{
    *out = PAGE_DEFAULT;
    if (text.ptr && !str_to_u64(text, out))
        return error_set(error, ERR_INVALID_REQUEST, "limit: expected a whole number from 1 to %d", CONTROL_PAGE_MAX);
    return ERR_NONE;
}

static struct str text_or_empty(struct str text)
{
    return text.ptr ? text : STR("");
}

void api_survey_page(const struct api_request *request, struct control_request question, const char *filter,
                     api_answer *answer)
{
    struct str query = request->call->request.query, limit = {0}, after = {0}, filtered = {0};
    struct buf limit_text = {0}, after_text = {0}, filter_text = {0};
    bool of_sessions = question.op == CONTROL_SESSIONS;
    const char *const names[] = {"limit", "after", filter, NULL};
    struct error error;
    enum err err = http_query_check(query, names, &error);
    if (!err)
        err = http_query_get(query, STR("limit"), &limit_text, &limit, &error);
    if (!err)
        err = read_limit(limit, &question.limit, &error);
    if (!err)
        err = http_query_get(query, STR("after"), &after_text, &after, &error);
    if (!err && filter)
        err = http_query_get(query, str_from_cstr(filter), &filter_text, &filtered, &error);
    if (!err && !(str_is_utf8(text_or_empty(after)) && str_is_utf8(text_or_empty(filtered))))
        err = error_set(&error, ERR_INVALID_REQUEST, "the query parameters are not UTF-8");
    if (!err && of_sessions && filtered.ptr && filtered.len == 0) /* "all users" is a request without it */
        err = error_set(&error, ERR_INVALID_REQUEST, "%s: expected a text that is not empty", filter);
    question.after = text_or_empty(after);
    *(of_sessions ? &question.user : &question.prefix) = text_or_empty(filtered);
    if (err)
        api_respond_error(request, &error);
    else
        api_survey(request, &question, answer);
    buf_fini(&limit_text);
    buf_fini(&after_text);
    buf_fini(&filter_text);
}

void api_respond_page(const struct api_request *request, const struct survey *survey)
{
    struct buf *out = &request->call->response.body;
    const struct control_result *page = &survey->result;
    buf_append_lit(out, "],\"next\":");
    if (page->more && page->row_count)
        json_append_string(out, page->rows[page->row_count - 1].key);
    else
        buf_append_lit(out, "null");
    api_respond_survey(request, survey);
}
