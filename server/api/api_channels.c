/* api_channels.c - GET /api/v1/channels and /api/v1/channels/{channel}: what has subscribers, on all nodes. */
#include "common/base/percent.h"
#include "server/api/api_private.h"

static void answer_channels(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    struct buf *out = &request->call->response.body;
    buf_append_lit(out, "{\"channels\":[");
    for (size_t i = 0; i < survey->result.row_count; i++) {
        buf_append(out, i ? STR(",{\"channel\":") : STR("{\"channel\":"));
        json_append_string(out, survey->result.rows[i].key);
        buf_appendf(out, ",\"subscribers\":%llu}", (unsigned long long)survey->result.rows[i].subscribers);
    }
    api_respond_page(request, survey);
}

void api_channels(const struct api_request *request)
{
    api_survey_page(request, (struct control_request){.op = CONTROL_CHANNELS}, "prefix", answer_channels);
}

static void answer_channel(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    struct buf *out = &request->call->response.body;
    struct control_row none = {.key = survey->question.channel};
    const struct control_row *row = survey->result.row_count ? survey->result.rows : &none;
    if (row == &none && !survey->partial) { /* else nobody knows */
        struct error error;
        error_set(&error, ERR_NOT_FOUND, "the channel has no subscribers");
        api_respond_error(request, &error);
        return;
    }
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, row->key);
    buf_appendf(out, ",\"subscribers\":%llu,\"nodes\":%llu", (unsigned long long)row->subscribers,
                (unsigned long long)row->nodes);
    api_respond_survey(request, survey);
}

enum err api_channel_of_path(const struct api_request *request, struct str *out, struct error *error)
{
    struct buf *scratch = &request->api->scratch;
    buf_clear(scratch);
    if (!percent_decode(request->segment, scratch))
        return error_set(error, ERR_INVALID_REQUEST, "the channel in the path has a malformed percent-escape");
    *out = buf_str(scratch);
    return ERR_NONE;
}

void api_channel(const struct api_request *request)
{
    struct control_request question = {.op = CONTROL_CHANNEL};
    struct error error;
    if (api_channel_of_path(request, &question.channel, &error))
        api_respond_error(request, &error);
    else
        api_survey(request, &question, answer_channel);
}
