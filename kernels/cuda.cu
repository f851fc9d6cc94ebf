/* cuda.cu — the CUDA backend: devices, memory, copies, marks and fences; arithmetic is one folder down. */
#include "kernels/cuda/cuda.cuh"

#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_MARKS = 2048 }; /* 80 layers x 13 operations and the ends, without growing */

static const char *unusable(void)
{
    static thread_local char why[256];
    int devices = 0;
    cudaError_t err = cudaGetDeviceCount(&devices);
    if (err != cudaSuccess) {
        snprintf(why, sizeof why, "no usable CUDA device: %s", cudaGetErrorString(err));
        return why;
    }
    if (devices == 0)
        return "no CUDA device on this machine";
    int major = 0;
    err = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
    if (err != cudaSuccess || major < 8) {
        snprintf(why, sizeof why, "CUDA device 0 has compute capability %d.x, 8.0 or newer is needed", major);
        return why;
    }
    return NULL;
}

static int device_count(void)
{
    int devices = 0;
    return cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}

enum ss_err ss_cuda_scratch(struct ss_dev *dev, enum scratch which, size_t bytes, void **p)
{
    if (bytes > dev->scratch_bytes[which]) {
        size_t rounded = div_up(bytes, 2 << 20) * (2 << 20);
        if (dev->scratch[which]) {
            CU(cudaMemsetAsync(dev->scratch[which], 0, dev->scratch_bytes[which], dev->stream));
            CU(cudaStreamSynchronize(dev->stream));
            CU(cudaFree(dev->scratch[which]));
            dev->scratch[which] = NULL;
            dev->scratch_bytes[which] = 0;
        }
        CU(cudaMalloc(&dev->scratch[which], rounded));
        dev->scratch_bytes[which] = rounded;
    }
    *p = dev->scratch[which];
    return SS_OK;
}

/* Never fails: used where a failure has already been reported or nothing can be done about it. */
static void backend_close(struct ss_dev *dev)
{
    if (!dev)
        return;
    cudaSetDevice(dev->ordinal);
    if (dev->stream) {
        for (int i = 0; i < SCRATCH_N; i++) /* digits of shares */
            if (dev->scratch[i])
                cudaMemsetAsync(dev->scratch[i], 0, dev->scratch_bytes[i], dev->stream);
        if (dev->lt_workspace) /* partial sums of their products */
            cudaMemsetAsync(dev->lt_workspace, 0, LT_WORKSPACE_BYTES, dev->stream);
        cudaStreamSynchronize(dev->stream);
    }
    ss_lt_close(dev);
    for (int i = 0; i < SCRATCH_N; i++)
        cudaFree(dev->scratch[i]);
    cudaFree(dev->lt_workspace);
    for (int i = 0; i < 2; i++) {
        if (dev->p_staging[i]) {
            memset(dev->p_staging[i], 0, STAGING_BYTES);
            cudaFreeHost(dev->p_staging[i]);
        }
        if (dev->staged[i])
            cudaEventDestroy(dev->staged[i]);
    }
    for (size_t i = 0; i < dev->n_marks; i++)
        cudaEventDestroy(dev->marks[i]);
    free(dev->marks);
    if (dev->stream)
        cudaStreamDestroy(dev->stream);
    free(dev);
}

static enum ss_err grow_marks(struct ss_dev *dev, size_t n)
{
    if (n <= dev->n_marks)
        return SS_OK;
    cudaEvent_t *marks = (cudaEvent_t *)realloc(dev->marks, n * sizeof *marks);
    if (!marks)
        SS_FAIL(SS_ENV, "no memory for %zu time marks", n);
    dev->marks = marks;
    for (; dev->n_marks < n; dev->n_marks++)
        CU(cudaEventCreate(&dev->marks[dev->n_marks]));
    return SS_OK;
}

/* Let copies to and from the other devices go directly where the hardware can. */
static enum ss_err enable_peers(int ordinal)
{
    int devices = 0;
    CU(cudaGetDeviceCount(&devices));
    for (int peer = 0; peer < devices; peer++) {
        int can = 0;
        if (peer == ordinal)
            continue;
        CU(cudaDeviceCanAccessPeer(&can, ordinal, peer));
        if (!can)
            continue;
        cudaError_t err = cudaDeviceEnablePeerAccess(peer, 0);
        if (err == cudaErrorPeerAccessAlreadyEnabled)
            cudaGetLastError(); /* another party of this process did it: clear the mark that it left */
        else
            CU(err);
    }
    return SS_OK;
}

static enum ss_err open_parts(struct ss_dev *dev)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaDeviceGetAttribute(&dev->sms, cudaDevAttrMultiProcessorCount, dev->ordinal));
    CU(cudaStreamCreateWithFlags(&dev->stream, cudaStreamNonBlocking));
    LT(cublasLtCreate(&dev->lt));
    CU(cudaMalloc(&dev->lt_workspace, LT_WORKSPACE_BYTES));
    for (int i = 0; i < 2; i++) {
        CU(cudaMallocHost((void **)&dev->p_staging[i], STAGING_BYTES));
        CU(cudaEventCreateWithFlags(&dev->staged[i], cudaEventDisableTiming));
    }
    SS_TRY(grow_marks(dev, FIRST_MARKS));
    SS_TRY(enable_peers(dev->ordinal));
    SS_TRY(ss_attention_open(dev));
    return ss_wgmma_open(dev);
}

static enum ss_err backend_open(struct ss_dev **out, const struct ss_dev_options *o)
{
    int devices = 0;
    CU(cudaGetDeviceCount(&devices));
    if (o->device < 0 || o->device >= devices)
        SS_FAIL(SS_USAGE, "CUDA device %d does not exist, this machine has %d: choose 0 to %d", o->device, devices,
                devices - 1);
    struct ss_dev *dev = (struct ss_dev *)calloc(1, sizeof *dev);
    if (!dev)
        SS_FAIL(SS_ENV, "no memory for a CUDA device handle");
    dev->ordinal = o->device;
    enum ss_err err = open_parts(dev);
    if (err != SS_OK) {
        backend_close(dev);
        return err;
    }
    *out = dev;
    return SS_OK;
}

static void backend_memory(struct ss_dev *dev, size_t *free_bytes, size_t *total_bytes)
{
    *free_bytes = *total_bytes = 0;
    if (cudaSetDevice(dev->ordinal) != cudaSuccess || cudaMemGetInfo(free_bytes, total_bytes) != cudaSuccess)
        ss_warn("cudaMemGetInfo failed on device %d: memory is reported as 0", dev->ordinal);
}

static enum ss_err backend_alloc(struct ss_dev *dev, void **p, size_t bytes)
{
    CU(cudaSetDevice(dev->ordinal));
    cudaError_t err = cudaMalloc(p, bytes ? bytes : 1);
    if (err != cudaSuccess) {
        cudaGetLastError();
        SS_FAIL(SS_ENV, "cudaMalloc of %zu bytes on device %d: %s", bytes, dev->ordinal, cudaGetErrorString(err));
    }
    return SS_OK;
}

static void backend_free(struct ss_dev *dev, void *p, size_t bytes, bool wipe)
{
    if (!p)
        return;
    cudaError_t err = cudaSetDevice(dev->ordinal);
    if (err == cudaSuccess && wipe && bytes)
        err = cudaMemsetAsync(p, 0, bytes, dev->stream);
    if (err == cudaSuccess)
        err = cudaStreamSynchronize(dev->stream);
    cudaError_t freed = cudaFree(p);
    if (err != cudaSuccess || freed != cudaSuccess)
        ss_warn("wiping or freeing %zu bytes on device %d: %s", bytes, dev->ordinal,
                cudaGetErrorString(err != cudaSuccess ? err : freed));
}

/* Chunk i may be filled while chunk i - 1 travels. */
static enum ss_err backend_upload(struct ss_dev *dev, void *dst, const void *h_src, size_t bytes)
{
    CU(cudaSetDevice(dev->ordinal));
    for (size_t done = 0, i = 0; done < bytes; i ^= 1) {
        size_t n = smaller(bytes - done, STAGING_BYTES);
        CU(cudaEventSynchronize(dev->staged[i]));
        memcpy(dev->p_staging[i], (const uint8_t *)h_src + done, n);
        CU(cudaMemcpyAsync((uint8_t *)dst + done, dev->p_staging[i], n, cudaMemcpyHostToDevice, dev->stream));
        CU(cudaEventRecord(dev->staged[i], dev->stream));
        done += n;
    }
    return SS_OK;
}

/* Chunk i travels while chunk i - 1 is copied out of its staging memory. */
static enum ss_err backend_download(struct ss_dev *dev, void *h_dst, const void *src, size_t bytes)
{
    CU(cudaSetDevice(dev->ordinal));
    size_t chunks = div_up(bytes, STAGING_BYTES);
    for (size_t c = 0; c <= chunks; c++) {
        if (c < chunks) {
            size_t at = c * STAGING_BYTES, n = smaller(bytes - at, STAGING_BYTES);
            CU(cudaMemcpyAsync(dev->p_staging[c & 1], (const uint8_t *)src + at, n, cudaMemcpyDeviceToHost, dev->stream));
            CU(cudaEventRecord(dev->staged[c & 1], dev->stream));
        }
        if (c > 0) {
            size_t at = (c - 1) * STAGING_BYTES, n = smaller(bytes - at, STAGING_BYTES);
            CU(cudaEventSynchronize(dev->staged[(c - 1) & 1]));
            memcpy((uint8_t *)h_dst + at, dev->p_staging[(c - 1) & 1], n);
        }
    }
    return SS_OK;
}

static enum ss_err backend_copy(struct ss_dev *dev, void *dst, const void *src, size_t bytes)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, dev->stream));
    return SS_OK;
}

static enum ss_err backend_sync(struct ss_dev *dev)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaStreamSynchronize(dev->stream));
    return SS_OK;
}

static enum ss_err backend_mark(struct ss_dev *dev, size_t slot)
{
    CU(cudaSetDevice(dev->ordinal));
    if (slot >= dev->n_marks)
        SS_TRY(grow_marks(dev, 2 * slot));
    CU(cudaEventRecord(dev->marks[slot], dev->stream));
    return SS_OK;
}

static uint64_t backend_span_ns(struct ss_dev *dev, size_t from, size_t to)
{
    SS_REQUIRE(from < dev->n_marks && to < dev->n_marks);
    float ms = 0;
    SS_REQUIRE(cudaEventElapsedTime(&ms, dev->marks[from], dev->marks[to]) == cudaSuccess);
    return (uint64_t)((double)ms * 1e6 + 0.5);
}

/* A range of the host thread that issues the work; nothing but a test of a pointer unless a profiler is attached. */
static void backend_range(struct ss_dev *dev, const char *name, size_t layer)
{
    if (dev->range_open)
        nvtxRangePop();
    dev->range_open = name != NULL;
    if (!name)
        return;
    nvtxEventAttributes_t range = {};
    range.version = NVTX_VERSION;
    range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    range.messageType = NVTX_MESSAGE_TYPE_ASCII;
    range.message.ascii = name;
    range.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
    range.payload.ullValue = layer;
    nvtxRangePushEx(&range);
}

static enum ss_err fence_new(struct ss_dev *dev, void **fence)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaEventCreateWithFlags((cudaEvent_t *)fence, cudaEventDisableTiming));
    return SS_OK;
}

static void fence_free(struct ss_dev *dev, void *fence)
{
    if (fence && cudaSetDevice(dev->ordinal) == cudaSuccess && cudaEventDestroy((cudaEvent_t)fence) != cudaSuccess)
        ss_warn("a fence of device %d could not be freed", dev->ordinal);
}

static enum ss_err fence_record(struct ss_dev *dev, void *fence)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaEventRecord((cudaEvent_t)fence, dev->stream));
    return SS_OK;
}

static enum ss_err fence_wait(struct ss_dev *dev, void *fence)
{
    CU(cudaSetDevice(dev->ordinal));
    CU(cudaStreamWaitEvent(dev->stream, (cudaEvent_t)fence, 0));
    return SS_OK;
}

extern "C" const struct ss_backend ss_backend_cuda = {
    .name = "cuda",
    .about = "NVIDIA GPU of compute capability 8.0 or newer; int8 tensor cores for the ring, cuBLASLt for bf16",
    .ring_matrix = SS_I8X2,
    .unusable = unusable,
    .devices = device_count,
    .open = backend_open,
    .close = backend_close,
    .memory = backend_memory,
    .alloc = backend_alloc,
    .free = backend_free,
    .upload = backend_upload,
    .download = backend_download,
    .copy = backend_copy,
    .sync = backend_sync,
    .mark = backend_mark,
    .span_ns = backend_span_ns,
    .range = backend_range,
    .fence_new = fence_new,
    .fence_free = fence_free,
    .fence_record = fence_record,
    .fence_wait = fence_wait,
    .synth = ss_cuda_synth,
    .gemm = ss_cuda_gemm,
    .rmsnorm = ss_cuda_rmsnorm,
    .rope = ss_cuda_rope,
    .attention = ss_cuda_attention,
    .silu_mul = ss_cuda_silu_mul,
    .gemm_ring = ss_cuda_gemm_ring,
    .ring_add = ss_cuda_ring_add,
    .ring_sub = ss_cuda_ring_sub,
    .ring_mul = ss_cuda_ring_mul,
    .ring_add_bias = ss_cuda_ring_add_bias,
    .ring_encode = ss_cuda_ring_encode,
    .ring_decode = ss_cuda_ring_decode,
    .trunc_open = ss_cuda_trunc_open,
    .trunc_close = ss_cuda_trunc_close,
    .trunc_deal = ss_cuda_trunc_deal,
    .prg_fill = ss_cuda_prg_fill,
    .dpf_gen = ss_cuda_dpf_gen,
    .dpf_eval = ss_cuda_dpf_eval,
    .onehot_deal = ss_cuda_onehot_deal,
    .lookup_deal = ss_cuda_lookup_deal,
    .lookup_index = ss_cuda_lookup_index,
    .lookup_sum = ss_cuda_lookup_sum,
    .lookup_close = ss_cuda_lookup_close,
    .ring_sub_rows = ss_cuda_ring_sub_rows,
    .ring_beaver = ss_cuda_ring_beaver,
    .ring_square_sum = ss_cuda_ring_square_sum,
    .ring_spread = ss_cuda_ring_spread,
    .ring_row_sums = ss_cuda_ring_row_sums,
    .ring_scale_cols = ss_cuda_ring_scale_cols,
    .ring_rope = ss_cuda_ring_rope,
    .gemm_u64_scores = ss_cuda_gemm_u64_scores,
    .gemm_u64_values = ss_cuda_gemm_u64_values,
    .tournament_split = ss_cuda_tournament_split,
    .tournament_join = ss_cuda_tournament_join,
    .bits_slice = ss_cuda_bits_slice,
    .carry_leaves = ss_cuda_carry_leaves,
    .carry_join = ss_cuda_carry_join,
    .carry_deal = ss_cuda_carry_deal,
    .block_deal = ss_cuda_block_deal,
    .bits_close = ss_cuda_bits_close,
    .bits_deal = ss_cuda_bits_deal,
    .ring_combine = ss_cuda_ring_combine,
};
