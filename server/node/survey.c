/* survey.c - see survey.h.
 *
 *     worker that asks       this node                          another node
 *     survey_ask        ->   survey_run, a part each worker
 *                            question (survey_wire.h)      ->   survey_run, a part each worker
 *                            merges each part and answer   <-   answer, when its workers have answered
 *     done              <-   all have answered, or it is late */
#include "server/node/survey.h"

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/core/session_uuid.h"
#include "server/node/survey_wire.h"

enum { SURVEYS_MAX = 256, NODES_MAX = 1024 };

struct surveys {
    struct router *router;
    struct survey_facts facts;
    struct mailbox mailbox;
    struct list_link running; /* struct survey_run */
    size_t count;
    uint64_t last_id;
    struct buf scratch; /* texts of the message being read */
    bool closing;
    bool workers_gone; /* the workers' mailboxes are closed: no survey is answered any more */
};

/* Another node that has been asked. */
struct asked_node {
    char *id;
    bool answered;
};

/* A survey under way. One of our workers has asked, or another node, for which this node asks its own workers only.
 * Owned by surveys->running. */
struct survey_run {
    struct list_link link;
    struct surveys *surveys;
    uint64_t id; /* begins at a random number: a node can answer only a question that it was sent */
    struct timer deadline;
    struct survey *survey; /* NULL when another node asks */
    char *asker;           /* that node's id */
    uint64_t asker_id;     /* and its number for the question */
    enum control_op op;
    uint64_t limit; /* of rows, at least 1 */
    unsigned workers_left;
    struct control_result local; /* this node's */
    struct asked_node *nodes;    /* the others */
    size_t node_count;
    size_t nodes_left;
};

/* The part of one worker: the question, and its answer. */
struct survey_part {
    struct mail mail;
    struct surveys *surveys;
    uint64_t run_id;
    struct mailbox *worker;
    struct control_request request;
    struct control_walk walk;
    struct control_result result;
    char bytes[];
};

/* --- one survey ------------------------------------------------------------------------------------------------- */

static void fini_survey(struct request *request)
{
    struct survey *survey = survey_of(request);
    control_result_fini(&survey->result);
    buf_fini(&survey->nodes);
}

struct survey *survey_create(const struct control_request *question)
{
    struct survey *survey = xcalloc(1, sizeof *survey + control_request_room(question));
    survey->base.kind = REQUEST_SURVEY;
    survey->base.fini = fini_survey;
    control_request_copy(&survey->question, question, survey->bytes);
    return survey;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void describe_node(const struct surveys *surveys, uint64_t sessions, struct buf *out)
{
    const struct router *router = surveys->router;
    struct broker_info info;
    router->broker->ops->info(router->broker, &info);
    buf_append_lit(out, "{\"node\":");
    json_append_string(out, surveys->facts.node_id);
    buf_append_lit(out, ",\"version\":");
    json_append_string(out, str_from_cstr(surveys->facts.version));
    buf_append_lit(out, ",\"libraries\":");
    json_append_string(out, str_from_cstr(surveys->facts.libraries));
    buf_appendf(out, ",\"workers\":%u,\"uptime_s\":%llu,\"sessions\":%llu,\"channels\":%zu", router->worker_count,
                (unsigned long long)((turn_now_us(surveys->mailbox.turn) - surveys->facts.started_us) / 1000000),
                (unsigned long long)sessions, router->channels.count);
    buf_appendf(out, ",\"broker\":{\"kind\":\"%s\",\"state\":\"%s\",\"round_trip_us\":%llu", info.kind,
                broker_state_text(info.state), (unsigned long long)info.round_trip_us);
    if (info.text[0]) {
        buf_append_lit(out, ",\"why\":");
        json_append_string(out, str_from_cstr(info.text));
    }
    buf_append_char(out, '}');
    if (surveys->facts.peers)
        peers_describe(surveys->facts.peers, out);
    buf_append_char(out, '}');
}

/* Adds one node's answer to what the survey has. */
static void merge_node(struct survey_run *run, struct control_result *result, struct str node)
{
    for (size_t i = 0; i < result->row_count; i++) {
        result->rows[i].node = node;
        result->rows[i].nodes = 1;
    }
    if (result->session)
        result->session->node = node;
    control_result_merge(&run->survey->result, result, run->limit);
    run->survey->nodes_answered++;
}

static void add_description(struct survey *survey, struct str json)
{
    if (survey->nodes.len)
        buf_append_char(&survey->nodes, ',');
    buf_append(&survey->nodes, json);
}

static void free_run(struct survey_run *run)
{
    turn_stop_timer(run->surveys->mailbox.turn, &run->deadline);
    list_remove(&run->link);
    run->surveys->count--;
    for (size_t i = 0; i < run->node_count; i++)
        free(run->nodes[i].id);
    free(run->nodes);
    free(run->asker);
    control_result_fini(&run->local);
    free(run);
}

static void answer_worker(struct survey_run *run)
{
    struct surveys *surveys = run->surveys;
    struct survey *survey = run->survey;
    struct buf description = {0};
    struct broker_info info;
    surveys->router->broker->ops->info(surveys->router->broker, &info);
    if (run->op == CONTROL_INFO) {
        describe_node(surveys, run->local.count, &description);
        add_description(survey, buf_str(&description));
        buf_fini(&description);
    }
    merge_node(run, &run->local, surveys->facts.node_id);
    survey->nodes_asked = run->node_count + 1;
    survey->partial = survey->partial || run->workers_left || run->nodes_left || info.state != BROKER_UP;
    request_answer(&survey->base);
}

static void answer_node(struct survey_run *run)
{
    struct surveys *surveys = run->surveys;
    struct buf description = {0};
    struct buf text = {0};
    if (run->op == CONTROL_INFO)
        describe_node(surveys, run->local.count, &description);
    struct survey_message message = {
        .id = run->asker_id,
        .result = run->local, /* lent */
        .partial = run->workers_left > 0,
        .node = buf_str(&description),
    };
    survey_write_answer(&text, &message);
    surveys->router->broker->nodes->send(surveys->router->broker, str_from_cstr(run->asker), buf_str(&text));
    buf_fini(&text);
    buf_fini(&description);
}

static void finish(struct survey_run *run)
{
    if (run->survey)
        answer_worker(run);
    else
        answer_node(run);
    free_run(run);
}

static void finish_if_done(struct survey_run *run)
{
    if (run->workers_left == 0 && run->nodes_left == 0)
        finish(run);
}

static struct survey_run *find_run(struct surveys *surveys, uint64_t id)
{
    LIST_EACH(link, &surveys->running)
    {
        struct survey_run *run = CONTAINER_OF(link, struct survey_run, link);
        if (run->id == id)
            return run;
    }
    return NULL;
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static void on_deadline(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    finish(CONTAINER_OF(timer, struct survey_run, deadline));
}

static void start_deadline(struct survey_run *run)
{
    /* A run for another node ends earlier, so that its partial answer arrives there in time. */
    uint64_t timeout_us = run->surveys->facts.timeout_ms * 1000;
    turn_start_timer(run->surveys->mailbox.turn, &run->deadline, run->survey ? timeout_us : timeout_us * 3 / 4,
                     on_deadline);
}

/* --- this node's workers ---------------------------------------------------------------------------------------- */

static void take_result(struct mail *mail, void *owner)
{
    struct surveys *surveys = owner;
    struct survey_part *part = CONTAINER_OF(mail, struct survey_part, mail);
    struct survey_run *run = find_run(surveys, part->run_id);
    if (run) { /* else it has run out of time */
        control_result_merge(&run->local, &part->result, run->limit);
        run->workers_left--;
        finish_if_done(run);
    }
    control_result_fini(&part->result);
    free(part);
}

/* In the worker's thread. A walk through many sessions takes several turns. */
static void answer_part(struct mail *mail, void *hub)
{
    struct survey_part *part = CONTAINER_OF(mail, struct survey_part, mail);
    if (!control_run(hub, &part->request, &part->walk, &part->result)) {
        mailbox_post(part->worker, mail);
        return;
    }
    mail->deliver = take_result;
    mailbox_post(&part->surveys->mailbox, mail);
}

static struct survey_run *start_run(struct surveys *surveys, const struct control_request *request)
{
    struct survey_run *run = xcalloc(1, sizeof *run);
    run->surveys = surveys;
    run->op = request->op;
    run->limit = request->limit ? request->limit : 1;
    run->id = ++surveys->last_id;
    list_append(&surveys->running, &run->link);
    surveys->count++;
    run->workers_left = surveys->router->worker_count;
    for (unsigned i = 0; i < surveys->router->worker_count; i++) {
        struct survey_part *part = xcalloc(1, sizeof *part + control_request_room(request));
        control_request_copy(&part->request, request, part->bytes);
        part->surveys = surveys;
        part->run_id = run->id;
        part->mail.deliver = answer_part;
        part->worker = surveys->router->workers[i];
        mailbox_post(part->worker, &part->mail);
    }
    return run;
}

/* --- other nodes ------------------------------------------------------------------------------------------------ */

static struct asked_node *add_node(struct survey_run *run, struct str id)
{
    if (run->node_count == NODES_MAX)
        return NULL;
    run->nodes = xrealloc(run->nodes, (run->node_count + 1) * sizeof *run->nodes);
    struct asked_node *node = &run->nodes[run->node_count++];
    *node = (struct asked_node){.id = str_dup(id)};
    run->nodes_left++;
    return node;
}

static bool has_node_of(struct str nodes, struct str session_id)
{
    while (nodes.ptr)
        if (session_uuid_names(session_id, str_split(&nodes, '\n')))
            return true;
    return false;
}

static void send_question(struct surveys *surveys, const struct survey_run *run, bool to_all)
{
    struct broker *broker = surveys->router->broker;
    struct buf text = {0};
    survey_write_question(&text, run->id, &run->survey->question);
    if (to_all)
        broker->nodes->send(broker, STR(""), buf_str(&text));
    for (size_t i = 0; i < run->node_count && !to_all; i++)
        broker->nodes->send(broker, str_from_cstr(run->nodes[i].id), buf_str(&text));
    buf_fini(&text);
}

/* A question about one session goes only to the node of that session. If the list has no such node, the question goes
 * to all nodes. The node may have joined since, or its version may give sessions ids without a node. */
static void ask_nodes(struct surveys *surveys, struct survey_run *run)
{
    struct broker *broker = surveys->router->broker;
    struct str session_id = run->survey->question.session_id;
    struct buf list = {0};
    broker->nodes->list(broker, &list);
    struct str rest = buf_str(&list);
    bool to_all = !has_node_of(rest, session_id);
    while (rest.ptr) {
        struct str id = str_split(&rest, '\n');
        if (id.len && !str_eq(id, surveys->facts.node_id) && (to_all || session_uuid_names(session_id, id)))
            add_node(run, id);
    }
    buf_fini(&list);
    if (run->node_count)
        send_question(surveys, run, to_all);
}

static void take_answer(struct surveys *surveys, struct str from, struct survey_message *message)
{
    struct survey_run *run = find_run(surveys, message->id);
    if (!run || !run->survey)
        return; /* too late */
    struct asked_node *node = NULL;
    for (size_t i = 0; i < run->node_count && !node; i++)
        if (str_eq_cstr(from, run->nodes[i].id))
            node = &run->nodes[i];
    if (!node)
        node = add_node(run, from); /* it joined after the list was made */
    if (!node || node->answered)
        return;
    node->answered = true;
    run->nodes_left--;
    merge_node(run, &message->result, from);
    run->survey->partial = run->survey->partial || message->partial;
    if (run->op == CONTROL_INFO && message->node.len)
        add_description(run->survey, message->node);
    finish_if_done(run);
}

void surveys_hear(struct surveys *surveys, struct str from, struct str bytes)
{
    struct survey_message message;
    if (surveys->closing || str_eq(from, surveys->facts.node_id) ||
        survey_read(bytes, &surveys->scratch, &message, NULL))
        return; /* a node of another version: the node that asked gets a partial answer */
    if (message.is_answer) {
        take_answer(surveys, from, &message);
    } else if (surveys->count < SURVEYS_MAX) {
        struct survey_run *run = start_run(surveys, &message.request);
        run->asker = str_dup(from);
        run->asker_id = message.id;
        start_deadline(run);
    }
    control_result_fini(&message.result);
}

/* --- questions of our workers ----------------------------------------------------------------------------------- */

static void take_survey(struct mail *mail, void *owner)
{
    struct surveys *surveys = owner;
    struct survey *survey = survey_of(CONTAINER_OF(mail, struct request, mail));
    if (surveys->workers_gone) {
        request_destroy(&survey->base);
        return;
    }
    if (surveys->closing)
        request_fail(&survey->base, ERR_UNAVAILABLE, "this node is stopping");
    else if (surveys->count >= SURVEYS_MAX)
        request_fail(&survey->base, ERR_RATE_LIMITED, "%d requests of this kind are under way; try again", SURVEYS_MAX);
    if (survey->base.error) {
        request_answer(&survey->base);
        return;
    }
    struct survey_run *run = start_run(surveys, &survey->question);
    run->survey = survey;
    ask_nodes(surveys, run);
    start_deadline(run);
}

void survey_ask(struct surveys *surveys, struct survey *survey)
{
    survey->base.mail.deliver = take_survey;
    mailbox_post(&surveys->mailbox, &survey->base.mail);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct surveys *surveys_create(struct router *router, const struct survey_facts *facts)
{
    struct surveys *surveys = xcalloc(1, sizeof *surveys);
    surveys->router = router;
    surveys->facts = *facts;
    random_bytes(&surveys->last_id, sizeof surveys->last_id);
    list_init(&surveys->running);
    mailbox_init(&surveys->mailbox, router->mailbox.turn, surveys);
    return surveys;
}

void surveys_close(struct surveys *surveys)
{
    surveys->closing = true;
    LIST_EACH(link, &surveys->running) finish(CONTAINER_OF(link, struct survey_run, link));
}

void surveys_destroy(struct surveys *surveys)
{
    surveys->workers_gone = true;
    mailbox_close(&surveys->mailbox);
    buf_fini(&surveys->scratch);
    free(surveys);
}
