/* attest_gpu.c — evidence of a GPU in confidential-computing mode, by NVML, loaded at run time. Declarations after NVIDIA's
   nvml.h (sizes NVML_CC_GPU_ATTESTATION_REPORT_SIZE and NVML_GPU_ATTESTATION_CERT_CHAIN_SIZE). */
#include "variants/lib/attest.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { CEC_REPORT_MAX = 4096, IDENTITY_CHAIN_MAX = 4096 };
typedef struct nvml_device *nvml_device;
struct state { /* nvmlConfComputeSystemState_t; feature: 1 on; dev_tools: 1 debugging, nothing is protected */
    unsigned environment, feature, dev_tools;
};
struct gpu_report { /* nvmlConfComputeGpuAttestationReport_t */
    unsigned cec_present, bytes, cec_bytes;
    uint8_t nonce[SS_ATTEST_NONCE], report[SS_REPORT_MAX], cec_report[CEC_REPORT_MAX];
};
struct gpu_chain { /* nvmlConfComputeGpuCertificate_t */
    unsigned identity_bytes, bytes;
    uint8_t identity[IDENTITY_CHAIN_MAX], chain[SS_CHAIN_MAX];
};
struct nvml {
    nvml_device device;
    int (*get_report)(nvml_device, struct gpu_report *);
    int (*get_chain)(nvml_device, struct gpu_chain *);
};

/* NVML, initialised, or NULL; never closed (env_gpu.c uses it too). */
static void *open_nvml(void)
{
    void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    int (*init)(void) = lib ? (int (*)(void))dlsym(lib, "nvmlInit_v2") : NULL;
    return init && init() == 0 ? lib : NULL;
}

bool ss_attest_gpu_has_cc(void)
{
    void *lib = open_nvml();
    struct state state = {0};
    int (*get)(struct state *) = lib ? (int (*)(struct state *))dlsym(lib, "nvmlSystemGetConfComputeState") : NULL;
    return get && get(&state) == 0 && state.feature == 1 && state.dev_tools == 0;
}

static enum ss_err attest(struct ss_attestor *a, struct ss_evidence *e, const uint8_t nonce[SS_ATTEST_NONCE])
{
    const struct nvml *n = a->state;
    struct gpu_report *r = calloc(1, sizeof *r);
    struct gpu_chain *c = calloc(1, sizeof *c);
    enum ss_err err = SS_OK;
    if (!r || !c)
        SS_FAIL_OUT(SS_ENV, "out of memory for an attestation report");
    memcpy(r->nonce, nonce, sizeof r->nonce);
    int report_code = n->get_report(n->device, r), chain_code = report_code == 0 ? n->get_chain(n->device, c) : 0;
    if (report_code != 0 || chain_code != 0)
        SS_FAIL_OUT(SS_ENV, "NVML gave no attestation %s (code %d); see nvidia-smi conf-compute -q",
                    report_code ? "report" : "certificates", report_code ? report_code : chain_code);
    if (r->bytes > sizeof e->report || c->bytes > sizeof e->chain)
        SS_FAIL_OUT(SS_ENV, "NVML gave an attestation of %u and %u bytes, longer than its own limits", r->bytes, c->bytes);
    e->report_bytes = r->bytes;
    e->chain_bytes = strnlen((const char *)c->chain, c->bytes);
    memcpy(e->report, r->report, e->report_bytes);
    memcpy(e->chain, c->chain, e->chain_bytes);
out:
    free(r);
    free(c);
    return err;
}

static void close_gpu(struct ss_attestor *a)
{
    free(a->state);
}

/* The device that CUDA calls 0, by its PCI address. */
static bool find_device(void *lib, nvml_device *device)
{
    char bus[32] = "";
    int (*cuda_bus)(char *, int, int) = (int (*)(char *, int, int))dlsym(RTLD_DEFAULT, "cudaDeviceGetPCIBusId");
    int (*by_address)(const char *, nvml_device *) =
        (int (*)(const char *, nvml_device *))dlsym(lib, "nvmlDeviceGetHandleByPciBusId_v2");
    return cuda_bus && by_address && cuda_bus(bus, sizeof bus, 0) == 0 && by_address(bus, device) == 0;
}

enum ss_err ss_attestor_gpu(struct ss_attestor *a)
{
    void *lib = open_nvml();
    struct nvml *n = calloc(1, sizeof *n);
    *a = (struct ss_attestor){
        .cc_mode = SS_CC_HARDWARE, .attestation = SS_CC_VERIFIED, .attest = attest, .close = close_gpu, .state = n};
    bool ok = n && lib && find_device(lib, &n->device);
    if (ok) {
        n->get_report = (int (*)(nvml_device, struct gpu_report *))dlsym(lib, "nvmlDeviceGetConfComputeGpuAttestationReport");
        n->get_chain = (int (*)(nvml_device, struct gpu_chain *))dlsym(lib, "nvmlDeviceGetConfComputeGpuCertificate");
        ok = n->get_report && n->get_chain;
    }
    if (ok)
        return SS_OK;
    ss_attestor_close(a);
    SS_FAIL(SS_ENV, "NVML has no attestation of the GPU that CUDA calls 0; a newer driver may");
}
