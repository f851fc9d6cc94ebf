/* prg.cu — AES-128-CTR keystream, a block per thread and step; see aes.cuh for the cipher. */
#include "kernels/cuda/aes.cuh"

enum { THREADS = 512, BLOCKS_PER_SM = 4 };

/* out: n words, two per AES block; block i encrypts nonce || be64(first + i). */
__global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    k_aes_ctr(uint64_t *out, size_t n, const __grid_constant__ struct aes_words key, uint64_t nonce, uint64_t first, int wide)
{
    __shared__ uint32_t table[AES_TABLE];
    aes_fill_table(table);
    __syncthreads();
    const uint32_t lane = 4 * (threadIdx.x % AES_BANKS);
    const uint32_t n0 = __byte_perm((uint32_t)(nonce >> 32), 0, 0x0123), n1 = __byte_perm((uint32_t)nonce, 0, 0x0123);
    const size_t blocks = (n + 1) / 2, step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < blocks; i += step) {
        const uint64_t counter = first + i;
        const uint32_t c0 = __byte_perm((uint32_t)(counter >> 32), 0, 0x0123), c1 = __byte_perm((uint32_t)counter, 0, 0x0123);
        const uint4 k = aes_encrypt(table, lane, key, make_uint4(n0, n1, c0, c1));
        if (wide && 2 * i + 1 < n) {
            reinterpret_cast<uint4 *>(out)[i] = k;
            continue;
        }
        out[2 * i] = (uint64_t)k.y << 32 | k.x;
        if (2 * i + 1 < n)
            out[2 * i + 1] = (uint64_t)k.w << 32 | k.z;
    }
}

enum ss_err ss_cuda_prg_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                             uint64_t first_block)
{
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    size_t grid = smaller(div_up(n, 2 * THREADS), (size_t)dev->sms * BLOCKS_PER_SM);
    k_aes_ctr<<<(unsigned)grid, THREADS, 0, dev->stream>>>(out, n, aes_words_of(key), nonce, first_block, aligned_to(out, 16));
    CU_LAUNCHED("k_aes_ctr");
    return SS_OK;
}
