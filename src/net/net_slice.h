/* net/net_slice.h: EndpointSlices by the Service they belong to, for what follows Services: DNS and
 * proxy. */
#ifndef NET_NET_SLICE_H
#define NET_NET_SLICE_H

#include <yyjson.h>

#include "base/vec.h"
#include "codec/object.h"

/* Name of the slice's Service, borrowed from it; empty when it names none. */
struct span net_slice_service(struct object *slice);
/* For informer_add_index: "NS/SERVICE". */
void net_slice_key(struct object *slice, void (*emit)(void *ctx, struct span key), void *ctx);

typedef VEC(const yyjson_val *) net_slice_list;
/* For informer_index_each, data a net_slice_list: appends the slice's root, borrowed. */
bool net_slice_collect(void *data, struct object *slice);

#endif
