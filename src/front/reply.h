/* front/reply.h: answers that are JSON, compact for programs and laid out for people, or YAML for
 * those who ask for that. */
#ifndef FRONT_REPLY_H
#define FRONT_REPLY_H

#include "base/err.h"
#include "http/http.h"

/* Whether the answer is to be laid out: as the parameter `pretty` says, otherwise when the client
 * is one that people type with or browse by (curl, Wget, a browser). */
bool reply_wants_pretty(struct http_exchange *x);
/* A whole answer, laid out when that is wanted and it is JSON. body is JSON also when content_type
 * is API_YAML, and then written as such. The exchange is used up. */
void reply_json(struct http_exchange *x, int status, const char *content_type, struct span body);
/* 200, laid out for whoever asks. */
void reply_pretty(struct http_exchange *x, struct span json);

/* Answers with the error's HTTP code and its Status; Retry-After when the error says so. The
 * exchange is used up. */
void reply_err(struct http_exchange *x, const struct err *e);

#endif
