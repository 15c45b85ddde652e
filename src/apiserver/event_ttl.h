/* apiserver/event_ttl.h: Events live LIMIT_EVENT_TTL_S after their last write. One timer, armed to
 * the oldest: nothing runs while nothing expires. */
#ifndef APISERVER_EVENT_TTL_H
#define APISERVER_EVENT_TTL_H

struct apiserver;
struct event_ttl;

struct event_ttl *event_ttl_new(struct apiserver *s);
void event_ttl_free(struct event_ttl *t); /* NULL is fine */

#endif
