/* survey.c - see survey.h. */
#include "server/node/survey.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/node/survey_wire.h"

enum { INQUIRIES_MAX = 256, NODES_MAX = 1024 };

struct survey {
    struct router *router;
    struct survey_facts facts;
    struct mailbox mailbox;
    uv_timer_t timer; /* runs out when the first inquiry does */
    struct list_link inquiries;
    size_t inquiry_count;
    uint64_t last_id;
    struct buf scratch; /* texts of the message being read */
    bool closing;
    bool workers_gone; /* nobody is left to be answered */
};

/* Another node that is asked. */
struct asked_node {
    char *id;
    bool answered;
};

/* A question under way, of one of our workers or of another node. Owned by survey->inquiries. */
struct inquiry {
    struct list_link link;
    struct survey *survey;
    uint64_t id;              /* ours, random: nobody can answer what he was not asked */
    uint64_t deadline_ms;     /* of the loop's clock */
    struct survey_call *call; /* NULL when another node asks */
    char *asker;              /* that node's id */
    uint64_t asker_id;        /* and its number for the question */
    enum control_op op;
    uint64_t limit; /* of rows, at least 1 */
    unsigned workers_left;
    struct control_result local; /* this node's */
    struct asked_node *nodes;    /* the others */
    size_t node_count;
    size_t nodes_left;
};

/* A question for one worker, and its answer. */
struct job {
    struct mail mail;
    struct survey *survey;
    uint64_t inquiry_id;
    struct mailbox *worker;
    struct control_request request;
    struct control_walk walk;
    struct control_result result;
    char bytes[];
};

/* --- calls ----------------------------------------------------------------------------------------------------------
 */

struct survey_call *survey_call_create(const struct control_request *request)
{
    struct survey_call *call = xcalloc(1, sizeof *call + control_request_room(request));
    control_request_copy(&call->request, request, call->bytes);
    return call;
}

void survey_call_destroy(struct survey_call *call)
{
    control_result_fini(&call->result);
    buf_fini(&call->nodes);
    free(call);
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct survey_call *call = CONTAINER_OF(mail, struct survey_call, mail);
    call->done(call, owner);
}

static void answer_call(struct survey_call *call)
{
    call->mail.deliver = deliver_answer;
    mailbox_post(call->reply_to, &call->mail);
}

/* --- answers --------------------------------------------------------------------------------------------------------
 */

static void describe_node(const struct survey *survey, uint64_t sessions, struct buf *out)
{
    const struct router *router = survey->router;
    struct broker_info info;
    router->broker->ops->info(router->broker, &info);
    buf_append_lit(out, "{\"node\":");
    json_append_string(out, survey->facts.node_id);
    buf_append_lit(out, ",\"version\":");
    json_append_string(out, str_from_cstr(survey->facts.version));
    buf_append_lit(out, ",\"libraries\":");
    json_append_string(out, str_from_cstr(survey->facts.libraries));
    buf_appendf(out, ",\"workers\":%u,\"uptime_s\":%llu,\"sessions\":%llu,\"channels\":%zu", router->worker_count,
                (unsigned long long)((clock_now_us() - survey->facts.started_us) / 1000000),
                (unsigned long long)sessions, router->channels.count);
    buf_appendf(out, ",\"broker\":{\"kind\":\"%s\",\"state\":\"%s\",\"round_trip_us\":%llu", info.kind,
                broker_state_text(info.state), (unsigned long long)info.round_trip_us);
    if (info.text[0]) {
        buf_append_lit(out, ",\"why\":");
        json_append_string(out, str_from_cstr(info.text));
    }
    buf_append_char(out, '}');
    if (survey->facts.peers)
        peers_describe(survey->facts.peers, out);
    buf_append_char(out, '}');
}

/* Adds one node's answer to what the call has. */
static void merge_node(struct inquiry *inquiry, struct control_result *result, struct str node)
{
    for (size_t i = 0; i < result->row_count; i++) {
        result->rows[i].node = node;
        result->rows[i].nodes = 1;
    }
    control_result_merge(&inquiry->call->result, result, inquiry->limit);
    inquiry->call->nodes_answered++;
}

static void add_description(struct survey_call *call, struct str json)
{
    if (call->nodes.len)
        buf_append_char(&call->nodes, ',');
    buf_append(&call->nodes, json);
}

static void free_inquiry(struct inquiry *inquiry)
{
    list_remove(&inquiry->link);
    inquiry->survey->inquiry_count--;
    for (size_t i = 0; i < inquiry->node_count; i++)
        free(inquiry->nodes[i].id);
    free(inquiry->nodes);
    free(inquiry->asker);
    control_result_fini(&inquiry->local);
    free(inquiry);
}

static void answer_worker(struct inquiry *inquiry)
{
    struct survey *survey = inquiry->survey;
    struct survey_call *call = inquiry->call;
    struct buf description = {0};
    struct broker_info info;
    survey->router->broker->ops->info(survey->router->broker, &info);
    if (inquiry->op == CONTROL_INFO) {
        describe_node(survey, inquiry->local.count, &description);
        add_description(call, buf_str(&description));
        buf_fini(&description);
    }
    merge_node(inquiry, &inquiry->local, survey->facts.node_id);
    call->nodes_asked = inquiry->node_count + 1;
    call->partial = call->partial || inquiry->workers_left || inquiry->nodes_left || info.state != BROKER_UP;
    answer_call(call);
}

static void answer_node(struct inquiry *inquiry)
{
    struct survey *survey = inquiry->survey;
    struct buf description = {0};
    struct buf text = {0};
    if (inquiry->op == CONTROL_INFO)
        describe_node(survey, inquiry->local.count, &description);
    struct survey_message message = {
        .id = inquiry->asker_id,
        .result = inquiry->local, /* lent */
        .partial = inquiry->workers_left > 0,
        .node = buf_str(&description),
    };
    survey_write_answer(&text, &message);
    survey->router->broker->ops->control(survey->router->broker, str_from_cstr(inquiry->asker), buf_str(&text));
    buf_fini(&text);
    buf_fini(&description);
}

static void finish(struct inquiry *inquiry)
{
    if (inquiry->call)
        answer_worker(inquiry);
    else
        answer_node(inquiry);
    free_inquiry(inquiry);
}

static void finish_if_done(struct inquiry *inquiry)
{
    if (inquiry->workers_left == 0 && inquiry->nodes_left == 0)
        finish(inquiry);
}

static struct inquiry *find_inquiry(struct survey *survey, uint64_t id)
{
    LIST_EACH(link, &survey->inquiries)
    {
        struct inquiry *inquiry = CONTAINER_OF(link, struct inquiry, link);
        if (inquiry->id == id)
            return inquiry;
    }
    return NULL;
}

/* --- time -----------------------------------------------------------------------------------------------------------
 */

static void on_timer(uv_timer_t *timer)
{
    struct survey *survey = timer->data;
    uint64_t now_ms = uv_now(timer->loop), next_ms = UINT64_MAX;
    LIST_EACH(link, &survey->inquiries)
    {
        struct inquiry *inquiry = CONTAINER_OF(link, struct inquiry, link);
        if (inquiry->deadline_ms <= now_ms)
            finish(inquiry);
        else if (inquiry->deadline_ms < next_ms)
            next_ms = inquiry->deadline_ms;
    }
    if (next_ms != UINT64_MAX)
        uv_timer_start(timer, on_timer, next_ms - now_ms, 0);
}

static void watch_deadline(struct survey *survey, struct inquiry *inquiry)
{
    uv_loop_t *loop = survey->timer.loop;
    /* Who works for another node gives up earlier, so that its partial answer still arrives in time. */
    uint64_t timeout_ms = inquiry->call ? survey->facts.timeout_ms : survey->facts.timeout_ms * 3 / 4;
    uv_update_time(loop);
    inquiry->deadline_ms = uv_now(loop) + timeout_ms;
    if (!uv_is_active((uv_handle_t *)&survey->timer) || uv_timer_get_due_in(&survey->timer) > timeout_ms)
        uv_timer_start(&survey->timer, on_timer, timeout_ms, 0);
}

/* --- this node's workers --------------------------------------------------------------------------------------------
 */

static void take_result(struct mail *mail, void *owner)
{
    struct survey *survey = owner;
    struct job *job = CONTAINER_OF(mail, struct job, mail);
    struct inquiry *inquiry = find_inquiry(survey, job->inquiry_id);
    if (inquiry) { /* else it has run out of time */
        control_result_merge(&inquiry->local, &job->result, inquiry->limit);
        inquiry->workers_left--;
        finish_if_done(inquiry);
    }
    control_result_fini(&job->result);
    free(job);
}

/* In the worker's thread, in as many turns as it takes. */
static void do_job(struct mail *mail, void *hub)
{
    struct job *job = CONTAINER_OF(mail, struct job, mail);
    if (!control_run(hub, &job->request, &job->walk, &job->result)) {
        mailbox_post(job->worker, mail);
        return;
    }
    mail->deliver = take_result;
    mailbox_post(&job->survey->mailbox, mail);
}

static struct inquiry *start_inquiry(struct survey *survey, const struct control_request *request)
{
    struct inquiry *inquiry = xcalloc(1, sizeof *inquiry);
    inquiry->survey = survey;
    inquiry->op = request->op;
    inquiry->limit = request->limit ? request->limit : 1;
    inquiry->id = ++survey->last_id;
    list_append(&survey->inquiries, &inquiry->link);
    survey->inquiry_count++;
    inquiry->workers_left = survey->router->worker_count;
    for (unsigned i = 0; i < survey->router->worker_count; i++) {
        struct job *job = xcalloc(1, sizeof *job + control_request_room(request));
        control_request_copy(&job->request, request, job->bytes);
        job->survey = survey;
        job->inquiry_id = inquiry->id;
        job->mail.deliver = do_job;
        job->worker = survey->router->workers[i];
        mailbox_post(job->worker, &job->mail);
    }
    return inquiry;
}

/* --- other nodes ----------------------------------------------------------------------------------------------------
 */

static struct asked_node *add_node(struct inquiry *inquiry, struct str id)
{
    if (inquiry->node_count == NODES_MAX)
        return NULL;
    inquiry->nodes = xrealloc(inquiry->nodes, (inquiry->node_count + 1) * sizeof *inquiry->nodes);
    struct asked_node *node = &inquiry->nodes[inquiry->node_count++];
    *node = (struct asked_node){.id = str_dup(id)};
    inquiry->nodes_left++;
    return node;
}

static void ask_nodes(struct survey *survey, struct inquiry *inquiry)
{
    struct broker *broker = survey->router->broker;
    struct buf list = {0};
    broker->ops->nodes(broker, &list);
    struct str rest = buf_str(&list);
    while (rest.ptr) {
        struct str id = str_split(&rest, '\n');
        if (id.len && !str_eq(id, survey->facts.node_id))
            add_node(inquiry, id);
    }
    buf_fini(&list);
    if (inquiry->node_count) {
        struct buf text = {0};
        survey_write_question(&text, inquiry->id, &inquiry->call->request);
        broker->ops->control(broker, STR(""), buf_str(&text));
        buf_fini(&text);
    }
}

static void take_answer(struct survey *survey, struct str from, struct survey_message *message)
{
    struct inquiry *inquiry = find_inquiry(survey, message->id);
    if (!inquiry || !inquiry->call)
        return; /* too late */
    struct asked_node *node = NULL;
    for (size_t i = 0; i < inquiry->node_count && !node; i++)
        if (str_eq_cstr(from, inquiry->nodes[i].id))
            node = &inquiry->nodes[i];
    if (!node)
        node = add_node(inquiry, from); /* it has come since the list was made */
    if (!node || node->answered)
        return;
    node->answered = true;
    inquiry->nodes_left--;
    merge_node(inquiry, &message->result, from);
    inquiry->call->partial = inquiry->call->partial || message->partial;
    if (inquiry->op == CONTROL_INFO && message->node.len)
        add_description(inquiry->call, message->node);
    finish_if_done(inquiry);
}

static void on_control(void *owner, struct str from, struct str bytes)
{
    struct survey *survey = owner;
    struct survey_message message;
    if (survey->facts.peers && peers_hear(survey->facts.peers, from, bytes))
        return;
    if (survey->closing || str_eq(from, survey->facts.node_id) || survey_read(bytes, &survey->scratch, &message, NULL))
        return; /* a node of another version: who asked it sees a partial answer */
    if (message.is_answer) {
        take_answer(survey, from, &message);
    } else if (survey->inquiry_count < INQUIRIES_MAX) {
        struct inquiry *inquiry = start_inquiry(survey, &message.request);
        inquiry->asker = str_dup(from);
        inquiry->asker_id = message.id;
        watch_deadline(survey, inquiry);
    }
    control_result_fini(&message.result);
}

/* --- questions of our workers
 * ----------------------------------------------------------------------------------------- */

static void take_call(struct mail *mail, void *owner)
{
    struct survey *survey = owner;
    struct survey_call *call = CONTAINER_OF(mail, struct survey_call, mail);
    if (survey->workers_gone) {
        survey_call_destroy(call);
        return;
    }
    if (survey->closing)
        error_set(&call->error, ERR_UNAVAILABLE, "this node is stopping");
    else if (survey->inquiry_count >= INQUIRIES_MAX)
        error_set(&call->error, ERR_RATE_LIMITED, "%d requests of this kind are under way; try again", INQUIRIES_MAX);
    if (call->error.code) {
        answer_call(call);
        return;
    }
    struct inquiry *inquiry = start_inquiry(survey, &call->request);
    inquiry->call = call;
    ask_nodes(survey, inquiry);
    watch_deadline(survey, inquiry);
}

void survey_ask(struct survey *survey, struct survey_call *call)
{
    call->mail.deliver = take_call;
    mailbox_post(&survey->mailbox, &call->mail);
}

/* --- life -----------------------------------------------------------------------------------------------------------
 */

struct survey *survey_create(struct router *router, const struct survey_facts *facts)
{
    struct survey *survey = xcalloc(1, sizeof *survey);
    survey->router = router;
    survey->facts = *facts;
    random_bytes(&survey->last_id, sizeof survey->last_id);
    list_init(&survey->inquiries);
    mailbox_init(&survey->mailbox, router->mailbox.turn, survey);
    uv_timer_init(router->mailbox.turn->wake.loop, &survey->timer);
    survey->timer.data = survey;
    router->on_control = on_control;
    router->control_owner = survey;
    return survey;
}

void survey_close(struct survey *survey)
{
    survey->closing = true;
    uv_timer_stop(&survey->timer);
    LIST_EACH(link, &survey->inquiries) finish(CONTAINER_OF(link, struct inquiry, link));
}

static void free_survey(uv_handle_t *timer)
{
    free(timer->data);
}

void survey_destroy(struct survey *survey)
{
    survey->workers_gone = true;
    mailbox_close(&survey->mailbox);
    survey->router->on_control = NULL;
    buf_fini(&survey->scratch);
    uv_close((uv_handle_t *)&survey->timer, free_survey);
}
