/* apiserver/local_client.h: the client interface in process: the same operations as over HTTP,
 * without bytes. Replies and events share the stored versions by reference. A watch is a list and a
 * cursor into the hub's window; when the window moved past the cursor it lists again and reports
 * the differences. */
#ifndef APISERVER_LOCAL_CLIENT_H
#define APISERVER_LOCAL_CLIENT_H

#include "apiserver/server.h"

/* Between local_client.c and local_watch.c. */
struct client_watch *local_watch_new(struct client *c, const struct client_request *selection,
                                     const struct client_watch_handler *handler, void *data);
void local_watch_free(struct client_watch *w);
struct apiserver *local_client_server(struct client *c);

#endif
