/* env.h — the machine and the build on which a cell ran. What cannot be found out is written as "unknown", never left out. */
#ifndef SS_ENV_H
#define SS_ENV_H

#include "harness/cell.h"

/* Everything but end_utc. backend: the cell's; "cuda" describes the device that CUDA calls 0, else the first that NVML lists.
 */
SS_CHECKED enum ss_err ss_env_collect(struct ss_pairs *env, const char *backend);
/* end_utc and the load average at the end. */
SS_CHECKED enum ss_err ss_env_finish(struct ss_pairs *env);

/* Part of ss_env_collect (env_gpu.c): gpu_* and cuda_*. */
SS_CHECKED enum ss_err ss_env_collect_gpu(struct ss_pairs *env, const char *backend);
/* After ss_env_collect. Energy in mJ since the driver was loaded (it is refreshed every 20 to 100 ms, so differences over short
   passes are coarse) and the SM clock in MHz; -1 if unknown. */
int64_t ss_env_gpu_energy_mj(void);
int64_t ss_env_gpu_clock(void);
#endif
