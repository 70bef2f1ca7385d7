/* liveness.c - what time does to a session: pings, the end of its token, the end of a closing connection.
 *
 * One timer looks whether the client is still there. When it fires, it sends a ping. When it fires again, a pong
 * timeout later, something must have been heard since. A pong touches no timer. So an idle connection costs two timer
 * events in each interval, and none where pings are off.
 *
 * If the interval is the shorter time, the next ping is due before the timeout is over. Then the timer fires after the
 * interval. A client that has been heard gets its next ping. Another client has the rest of the timeout, and its pong
 * brings the next ping at once. */
#include "common/base/random.h"
#include "server/core/hub_private.h"

/* Pings are due at whole tenths of a second only. So many leave in one turn, and their pongs come in few turns. */
enum { PING_STEP_US = 100000 };

static uint64_t next_step(uint64_t due_us)
{
    return (due_us + PING_STEP_US - 1) / PING_STEP_US * PING_STEP_US;
}

uint64_t liveness_interval_us(const struct session *session)
{
    return session->format->ping ? session->endpoint->ping_interval_us : 0;
}

static void check_liveness(struct timer *timer, uint64_t now_us);

/* The ping has just been sent, or its times have changed. */
static void await_pong(struct hub *hub, struct session *session, uint64_t now_us)
{
    uint64_t interval_us = liveness_interval_us(session), timeout_us = session->endpoint->pong_timeout_us;
    session->ping_due = false;
    wheel_start(&hub->wheel, &session->liveness,
                interval_us < timeout_us ? next_step(now_us + interval_us) : now_us + timeout_us, check_liveness);
}

static void send_ping(struct hub *hub, struct session *session, uint64_t now_us)
{
    session->ping_sent = true;
    session->heard = false;
    await_pong(hub, session, now_us);
    if (session->has_ticket)
        hub->ticket_events->pinged(session);
    output_queue(hub, session, session->format->ping);
}

bool liveness_probe(struct hub *hub, struct session *session)
{
    if (!session->format->ping || session->ops->one_way || session->held || session->state != SESSION_OPEN)
        return false;
    if (session->has_ticket)
        hub->ticket_events->pinged(session);
    output_queue(hub, session, session->format->ping);
    return true;
}

static void check_liveness(struct timer *timer, uint64_t now_us)
{
    struct session *session = CONTAINER_OF(timer, struct session, liveness);
    struct hub *hub = session->hub;
    uint64_t interval_us = liveness_interval_us(session), timeout_us = session->endpoint->pong_timeout_us;
    bool lives = session->heard || session->held || session->ops->one_way;
    if (!session->ping_sent || (lives && interval_us <= timeout_us)) {
        send_ping(hub, session, now_us);
    } else if (lives) {
        session->ping_sent = false;
        wheel_start(&hub->wheel, timer, next_step(now_us + interval_us - timeout_us), check_liveness);
    } else if (interval_us < timeout_us && !session->ping_due) {
        session->ping_due = true;
        wheel_start(&hub->wheel, timer, now_us + timeout_us - interval_us, check_liveness);
    } else {
        session_end(session, REASON_PONG_TIMEOUT);
    }
}

void liveness_hear_pong(struct hub *hub, struct session *session)
{
    session->heard = true;
    if (session->ping_due && session->state == SESSION_OPEN)
        wheel_start(&hub->wheel, &session->liveness, hub->now_us, check_liveness);
}

static void check_expiry(struct timer *timer, uint64_t now_us)
{
    struct session *session = CONTAINER_OF(timer, struct session, deadline);
    (void)now_us;
    liveness_watch_expiry(session->hub, session);
}

/* A token that came within the leeway counts to the end of it. What a backend has said counts to the moment, also at an
 * endpoint that does not heed the end of tokens. */
uint64_t liveness_end_ms(const struct hub *hub, const struct session *session)
{
    uint64_t by_backend_ms = claims_end_by_backend(session->claims);
    uint64_t exp_ms = session->endpoint->ignores_expiry ? 0 : session->claims->exp_ms;
    if (exp_ms && session->late_token)
        exp_ms += hub->settings.leeway_ms;
    return by_backend_ms && (!exp_ms || by_backend_ms < exp_ms) ? by_backend_ms : exp_ms;
}

static bool has_end(const struct hub *hub, const struct session *session)
{
    return liveness_end_ms(hub, session) != 0 && session->state == SESSION_OPEN && !hub->draining;
}

/* No token puts the end off that a backend has set. */
static struct str warning_text(const struct hub *hub, const struct session *session)
{
    uint64_t by_backend_ms = claims_end_by_backend(session->claims);
    if (by_backend_ms && by_backend_ms == liveness_end_ms(hub, session))
        return STR("the backend ends this session soon, and refresh does not put that off: open a new connection");
    return STR("the token expires soon: send refresh with a new one, or the connection will be closed");
}

static void warn_of_expiry(struct hub *hub, struct session *session)
{
    const struct reply reply = {.type = REPLY_WARNING, .warning = {STR("token_expiring"), warning_text(hub, session)}};
    session->expiry_warned = true;
    output_reply(hub, session, &reply);
}

void liveness_watch_expiry(struct hub *hub, struct session *session)
{
    if (!has_end(hub, session))
        return;
    uint64_t end_ms = liveness_end_ms(hub, session);
    uint64_t warn_ms = hub->settings.expiry_warning_us / 1000;
    if (end_ms <= hub->wall_ms) {
        session_end(session, REASON_TOKEN_EXPIRED);
        return;
    }
    uint64_t left_ms = end_ms - hub->wall_ms;
    if (left_ms > warn_ms) {
        left_ms -= warn_ms;
    } else if (!session->expiry_warned) {
        warn_of_expiry(hub, session);
    }
    /* The wall clock may be set meanwhile: look again at least every hour. */
    uint64_t wait_us = left_ms < 3600000 ? left_ms * 1000 : 3600000000;
    wheel_start(&hub->wheel, &session->deadline, hub->now_us + wait_us, check_expiry);
}

/* A client answers a warning with a fresh token. If that token ends within the warning's time, a warning at once would
 * bring the next one at once, and so on. Its warning comes when half of the time is over. There is one warning of an
 * end that a backend has set. */
void liveness_watch_fresh(struct hub *hub, struct session *session)
{
    uint64_t end_ms = liveness_end_ms(hub, session);
    if (has_end(hub, session) && !session->expiry_warned && end_ms > hub->wall_ms &&
        end_ms - hub->wall_ms <= hub->settings.expiry_warning_us / 1000)
        wheel_start(&hub->wheel, &session->deadline, hub->now_us + (end_ms - hub->wall_ms) * 1000 / 2, check_expiry);
    else
        liveness_watch_expiry(hub, session);
}

/* The first ping comes after a random part of the interval. So sessions that begin together are not pinged together. */
static void await_first_ping(struct hub *hub, struct session *session)
{
    uint64_t interval_us = liveness_interval_us(session);
    session->ping_sent = session->ping_due = false;
    if (interval_us)
        wheel_start(&hub->wheel, &session->liveness, next_step(hub->now_us + random_below(interval_us)),
                    check_liveness);
    else
        wheel_stop(&hub->wheel, &session->liveness);
}

void liveness_start(struct hub *hub, struct session *session)
{
    await_first_ping(hub, session);
    liveness_watch_expiry(hub, session);
}

void liveness_follow(struct hub *hub, struct session *session, const struct hub_settings *before)
{
    const struct hub_settings *now = &hub->settings;
    if (now->expiry_warning_us != before->expiry_warning_us || now->leeway_ms != before->leeway_ms)
        liveness_watch_expiry(hub, session);
}

void liveness_follow_endpoint(struct hub *hub, struct session *session, const struct endpoint *before)
{
    const struct endpoint *now = session->endpoint;
    if (session->state != SESSION_OPEN)
        return;
    if (now->ignores_expiry != before->ignores_expiry && !hub->draining) {
        wheel_stop(&hub->wheel, &session->deadline);
        liveness_watch_expiry(hub, session);
    }
    if (!session->ping_sent || now->ping_interval_us == 0) {
        if (now->ping_interval_us != before->ping_interval_us)
            await_first_ping(hub, session);
    } else if (now->ping_interval_us != before->ping_interval_us || now->pong_timeout_us != before->pong_timeout_us) {
        await_pong(hub, session, hub->now_us);
    }
}

/* What is in flight may take until draining is over. */
static void end_drained(struct timer *timer, uint64_t now_us)
{
    enum { LOOK_US = 50000 };
    struct session *session = CONTAINER_OF(timer, struct session, deadline);
    uint64_t end_us = session->hub->drained_at_us;
    if (session->upstream && session->upstream->in_flight && now_us < end_us)
        wheel_start(&session->hub->wheel, timer, now_us + LOOK_US < end_us ? now_us + LOOK_US : end_us, end_drained);
    else
        session_end(session, REASON_GOING_AWAY);
}

void liveness_drain(struct hub *hub, struct session *session, uint64_t after_us)
{
    const struct reply reply = {.type = REPLY_RECONNECT, .reconnect = {STR("draining"), after_us / 1000}};
    output_reply(hub, session, &reply);
    wheel_start(&hub->wheel, &session->deadline, hub->now_us + after_us, end_drained);
}

static void end_closing(struct timer *timer, uint64_t now_us)
{
    struct session *session = CONTAINER_OF(timer, struct session, deadline);
    (void)now_us;
    output_finish(session->hub, session, true);
}

void liveness_bound_closing(struct hub *hub, struct session *session)
{
    wheel_stop(&hub->wheel, &session->liveness);
    /* A peer that has not answered a ping will not answer a close either. */
    uint64_t wait_us = session->closing_reason == REASON_PONG_TIMEOUT ? 0 : hub->settings.close_timeout_us;
    wheel_start(&hub->wheel, &session->deadline, hub->now_us + wait_us, end_closing);
}

bool hub_send_away(struct hub *hub, struct session *session, uint64_t after_us)
{
    if (session->state != SESSION_OPEN)
        return false;
    liveness_drain(hub, session, after_us);
    return true;
}

static void end_expired(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    session_end(CONTAINER_OF(timer, struct session, deadline), REASON_TOKEN_EXPIRED);
}

bool hub_expire(struct hub *hub, struct session *session, bool warn)
{
    if (session->state != SESSION_OPEN)
        return false;
    if (!warn) {
        session_end(session, REASON_TOKEN_EXPIRED);
        return true;
    }
    warn_of_expiry(hub, session);
    if (!hub->draining)
        wheel_start(&hub->wheel, &session->deadline, hub->now_us + hub->settings.expiry_warning_us, end_expired);
    return true;
}

void liveness_stop(struct hub *hub, struct session *session)
{
    wheel_stop(&hub->wheel, &session->liveness);
    wheel_stop(&hub->wheel, &session->deadline);
}
