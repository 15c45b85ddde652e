/* env/env_uv.h: the production environment on a libuv loop. Only main/ and tests include this. */
#ifndef ENV_ENV_UV_H
#define ENV_ENV_UV_H

struct env;

struct env *env_uv_new(void);
/* Runs turns until env_uv_stop. */
void env_uv_run(struct env *env);
/* Ends the run after this turn; from the loop thread. */
void env_uv_stop(struct env *env);
/* Everything made with env must be closed before; asserts that no handle is left. NULL is fine. */
void env_uv_free(struct env *env);

#endif
