/* main/node_join.h: joins the API server's view of a node (node_api) with the kubelet's sessions.
 */
#ifndef MAIN_NODE_JOIN_H
#define MAIN_NODE_JOIN_H

#include "client/node_api.h"

struct kubelet;

struct node_join {
    struct node_api api;     /* first */
    struct kubelet *kubelet; /* NULL until it runs: sessions end with ServiceUnavailable */
};

void node_join_init(struct node_join *j);

#endif
