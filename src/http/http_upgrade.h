/* http/http_upgrade.h: the stream that an upgraded connection becomes when input came before the
 * hand-over. */
#ifndef HTTP_HTTP_UPGRADE_H
#define HTTP_HTTP_UPGRADE_H

#include "env/env.h"

/* Owns inner; brings `early` (copied) first, then what inner brings. ended: the peer has already
 * ended its side. */
struct env_stream *http_upgraded_new(struct env_stream *inner, struct span early, bool ended);
/* A stream whose peer is gone: it says so as soon as it is read. */
struct env_stream *http_upgraded_dead(struct env *env);

#endif
