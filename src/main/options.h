/* main/options.h: every setting in one table: its flag, its key in the YAML configuration file (the
 * flag's own name), its default, its check. */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include "base/arena.h"
#include "base/span.h"

enum { OPTIONS_MIRRORS_MAX = 64, OPTIONS_WORDS_ANY = 1000000 };

struct options {
    struct span data_dir;
    struct span config;
    struct span bind_address;
    uint16_t https_listen_port;
    struct span node_name;
    struct span write_kubeconfig;
    struct span cluster_cidr, service_cidr, cluster_dns, cluster_domain;
    struct span bridge;
    struct span registry_mirrors[OPTIONS_MIRRORS_MAX];
    size_t registry_mirror_count;
    int64_t image_high_percent, image_low_percent; /* of the disk, for unused images */
    int64_t image_min_age_s;
    struct span container_runtime;
    struct span log_format;
    int64_t verbosity;
    int64_t grace_period_s; /* berth stop --grace-period; 0: not given */
    /* berth image import --as */
    struct span as;
    /* Words that are no options, in order. */
    const char *const *args;
    size_t arg_count;
};

enum options_group {
    OPTIONS_COMMON = 1 << 0, /* --data-dir */
    OPTIONS_SERVER = 1 << 1,
    OPTIONS_IMAGE = 1 << 2,
    OPTIONS_STOP = 1 << 3,      /* the names that a server's network was made with */
    OPTIONS_KUBECONFIG = 1 << 4 /* where the API of a server is */
};

/* Parses the words after the subcommand; for groups with OPTIONS_SERVER also the configuration
 * file, which flags override. Returns 0; -1 after one line on stderr that names the option, its
 * value and the remedy; 1 when help was printed. command: as main.c names it. */
int options_parse(struct arena *a, unsigned groups, const char *command, int argc, char **argv,
                  struct options *ret);

/* Keeps the settings of OPTIONS_STOP and OPTIONS_KUBECONFIG in the data directory, where a later
 * options_parse with one of these groups finds them. */
int options_remember(struct arena *a, const struct options *o);

#endif
