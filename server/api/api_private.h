/* api_private.h - what the routes share. api.c checks the key and finds the route. Each group of routes is one file. */
#ifndef CARILLON_API_API_PRIVATE_H
#define CARILLON_API_API_PRIVATE_H

#include "common/json/json.h"
#include "server/api/api.h"

struct api {
    const struct api_ops *ops;
    void *owner;
    struct api_identity identity;
    struct metrics *metrics;
    struct mailbox *replies;
    struct api_config config; /* keys are our own copies */
    struct buf scratch;       /* unescaped texts of the request being read */
};

/* A request being answered. Small: kept by value while an answer is awaited. */
struct api_request {
    struct api *api;
    struct http_call *call;
    enum metrics_route route;
    struct str segment; /* that {} of the path stands for, not decoded, borrowed from the call */
};

/* --- api_answer.c --- */
/* Answers with what is in call->response.body. */
void api_respond(const struct api_request *request, int status);
void api_respond_error(const struct api_request *request, const struct error *error);
/* "error":{"code":...,"message":...} */
void api_append_error(struct buf *out, const struct error *error);
/* Asks the node, and takes what is asked. The answer runs answer, which borrows it; an error is answered for the route.
 */
typedef void api_answer(const struct api_request *request, struct request *asked);
void api_ask(const struct api_request *request, struct request *asked, api_answer *answer);

/* Reads the body as one JSON value. json_bind then reads its members, and api_text their texts. */
enum err api_read_body(const struct api_request *request, struct json_value *out, struct error *error);
/* Reads the text of a member of the body. *out stays as it is when the member is absent. The text is valid while the
 * request is read. */
enum err api_text(struct api *api, const char *name, struct json_value value, struct str *out, struct error *error);

/* --- api_survey.c --- */
/* Asks all nodes by a survey. */
void api_survey(const struct api_request *request, const struct control_request *question, api_answer *answer);
/* Ends the body, which is an open object, and answers. "partial":true,... is added when some node has not answered. */
void api_respond_survey(const struct api_request *request, const struct survey *survey);
/* Answers with the count of the survey. */
api_answer api_respond_count;
/* Reads ?limit= and ?after= and the parameter filter, and asks for the page. NULL: there is no such parameter. The
 * question has all else. */
void api_survey_page(const struct api_request *request, struct control_request question, const char *filter,
                     api_answer *answer);
/* As api_respond_survey, for a body that is an object with an open list: adds "next":"...", or null on the last page.
 */
void api_respond_page(const struct api_request *request, const struct survey *survey);

/* --- api_channels.c --- */
/* The decoded segment of the path, not checked further. Valid while the request is read. */
enum err api_channel_of_path(const struct api_request *request, struct str *out, struct error *error);

/* --- api_publish.c --- */
/* Reads {"channel","type","data","event_id"?,"exclude_session"?}. where is the object's place, for errors. With
 * out_channels not NULL the object has "channels" in place of "channel", and *out_channels gets it. */
enum err api_read_event(struct api *api, struct json_value object, const char *where, struct event_offer *out,
                        struct json_value *out_channels, struct error *error);
/* All but the channel. */
enum err api_check_event(const struct api *api, const struct event_offer *event, struct error *error);
/* The event as it is to be published, and counted as come in. */
struct publication *api_make_publication(struct api *api, const struct event_offer *event);
/* "id":...,"epoch":...,"offset":...,"duplicate":true, or "error":{...} */
void api_append_published(struct buf *out, const struct publication *publication);

#define ROUTE(method, path, key, symbol, text, function) void function(const struct api_request *request);
#include "common/protocol/routes.def"
#undef ROUTE

#endif
