/* options_check.h - the checks of single texts in the options' tables. Each says what is wrong with a text, if anything
 * is. What only several options together show is in options_validate.c. Pure, for any thread. */
#ifndef CARILLON_APP_OPTIONS_CHECK_H
#define CARILLON_APP_OPTIONS_CHECK_H

#include "common/base/error.h"

/* What the url of an upstream inside the server begins with (server/upstream/canned_upstream.h). Only the presets of
 * `carillon dev` may have it. */
#define UPSTREAM_DEV_SCHEME "dev:"

/* A pattern of channels without claims. */
enum err check_channel_pattern(struct str text, struct error *error);
enum err check_claim(struct str text, struct error *error);
/* A header of the client that an upstream may get. */
enum err check_client_header(struct str text, struct error *error);
/* An object whose texts may have {code}, {message} and {id}. */
enum err check_error_template(struct str text, struct error *error);
enum err check_host(struct str text, struct error *error);
enum err check_http_url(struct str text, struct error *error);
enum err check_media_type(struct str text, struct error *error);
/* An address, or an address and the length of a prefix. */
enum err check_network(struct str text, struct error *error);
/* RFC 6454, with * */
enum err check_origin(struct str text, struct error *error);
/* RFC 6901; not the empty pointer. */
enum err check_pointer(struct str text, struct error *error);
enum err check_query_name(struct str text, struct error *error);
/* A reason for which a connection is closed (reasons.def). */
enum err check_reason(struct str text, struct error *error);
enum err check_redis_key(struct str text, struct error *error);
enum err check_redis_prefix(struct str text, struct error *error);
enum err check_redis_url(struct str text, struct error *error);
enum err check_scope(struct str text, struct error *error);
/* RFC 6455, 4.1: a token of HTTP. */
enum err check_subprotocol(struct str text, struct error *error);
/* A channel or a resource with {name}s in it. */
enum err check_template(struct str text, struct error *error);
/* {code} and {message} */
enum err check_ticket_error_template(struct str text, struct error *error);
/* A literal path. */
enum err check_ticket_path(struct str text, struct error *error);
/* {ticket} and {expires_in} */
enum err check_ticket_template(struct str text, struct error *error);
enum err check_upstream_name(struct str text, struct error *error);
/* http, https, ws or wss. */
enum err check_upstream_url(struct str text, struct error *error);

#endif
