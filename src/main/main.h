/* main/main.h: the subcommands. Each takes the words from its own name on and returns the exit
 * code. */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include <stddef.h>

#define BERTH_VERSION "0.1.0"
/* The Kubernetes version whose API we follow, for /version: kubectl warns when it is far from its
 * own. */
#define BERTH_API_VERSION "v1.34.0+berth"

int cmd_server(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kubeconfig(int argc, char **argv);
int cmd_version(int argc, char **argv);

struct arena;
struct image_user;
/* [blocking] The list of an image_users (image/image.h): data is the data directory's span. */
int image_users_of(void *data, struct arena *a, struct image_user **ret, size_t *ret_count);

#endif
