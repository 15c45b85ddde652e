/* berth: the table of subcommands. */
#include "main/main.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_crun.h"

/* The shim looks for its own name among the words before its program. */
static int cmd_shim(int argc, char **argv)
{
    return runtime_shim_main(argc + 1, argv - 1);
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *doc; /* NULL: not for people */
} commands[] = {
    {"server", cmd_server, "run the server in the foreground"},
    {"image", cmd_image, "import FILE..., pull REF, ls, rm REF"},
    {"status", cmd_status,
     "[[NAMESPACE/]SET]: the nodes, the sets with their pods, what waits and why"},
    {"stop", cmd_stop, "end the pods in order, remove network and mounts, stop the server"},
    {"kubeconfig", cmd_kubeconfig,
     "USER [GROUP...]: print a kubeconfig with a certificate of theirs"},
    {"version", cmd_version, "print the version"},
    {"runtime-shim", cmd_shim, NULL},
};

static int usage(FILE *to, int code)
{
    (void)fprintf(to, "usage: berth COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (commands[i].doc) {
            (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].doc);
        }
    }
    (void)fprintf(to, "\n`berth COMMAND --help` says more about one, and lists its options.\n");
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(stderr, 2);
    }
    bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        return usage(stdout, 0);
    }
    char option[] = "--help", *asked[] = {argv[help ? 2 : 1], option, NULL};
    char **words = help ? asked : argv + 1;
    int count = help ? 2 : argc - 1;
    const char *name = strcmp(words[0], "--version") == 0 ? "version" : words[0];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return commands[i].run(count, words);
        }
    }
    (void)fprintf(stderr, "berth: there is no command \"%s\"\n", name);
    return usage(stderr, 2);
}
