/* survey_wire.h - the messages of surveys between nodes. Each is one JSON object with a version. Pure.
 *
 * A question goes to all nodes:
 *     {"v":1,"ask":7,"op":"sessions","user":...,"limit":50}
 *     {"v":1,"ask":8,"op":"send","session_id":...,"binary":1,"message":"<base64url>"}
 * An answer goes to the node that asked:
 *     {"v":1,"answer":7,"count":0,"more":false,"partial":false,"rows":[...],"session":{...},"node":{...}} */
#ifndef CARILLON_NODE_SURVEY_WIRE_H
#define CARILLON_NODE_SURVEY_WIRE_H

#include "common/base/buf.h"
#include "server/core/control.h"

/* Its texts are borrowed. */
struct survey_message {
    uint64_t id; /* of the question, chosen by the node that asks */
    bool is_answer;
    struct control_request request; /* of a question */
    struct control_result result;   /* of an answer */
    bool partial;
    struct str node; /* JSON object; empty if there is none */
};

void survey_write_question(struct buf *out, uint64_t id, const struct control_request *request);
void survey_write_answer(struct buf *out, const struct survey_message *message);

/* Reads and checks a question or an answer. The texts of out lie in bytes or in scratch, which is cleared first. On
 * success the caller frees out->result with control_result_fini. ERR_INVALID_REQUEST: the error says what is wrong. */
enum err survey_read(struct str bytes, struct buf *scratch, struct survey_message *out, struct error *error);

#endif
