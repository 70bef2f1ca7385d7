/* canned_upstream.h - an upstream inside the server, for development without a backend. It answers each message of a
 * client by a template, or sends the message back. `carillon dev --preset` has it; the options of `serve` refuse it.
 *
 * An answer has one frame or several. The first one comes at once, and the others follow at a pace, by the hub's wheel.
 * A client that has many answers under way is not read until some of them are done. */
#ifndef CARILLON_UPSTREAM_CANNED_UPSTREAM_H
#define CARILLON_UPSTREAM_CANNED_UPSTREAM_H

#include "server/core/upstream.h"

/* One reference. name is copied. settings: a JSON object with these members, each of which can be left out:
 *
 *   text, binary   template of a frame that answers a text message, a binary message. Without it nothing answers
 *   echo           true: the message comes back, and the templates are not used
 *   frames         frames of an answer, 1 to 100. Default 1
 *   every_ms       time from one frame to the next, 1 to 60,000. Default 500
 *
 * A template is JSON with these places (json_template.h):
 *
 *   {id}       the message's id, by the endpoint's correlation
 *   {action}   /headers/action, or else /action, or else /type of the message
 *   {text}     a sentence about the message. Each frame has more of it, and the last one has all
 *   {n}        the message's number in its session, from 1
 *   {bytes}    the message's length
 *   {last}     true in the last frame of the answer, false in the others
 *
 * On failure *out is NULL, and the error says which member is wrong. */
enum err canned_upstream_create(struct str name, struct str settings, struct upstream **out, struct error *error);

#endif
