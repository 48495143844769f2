//! Between a row of numbers, and the numbers of the row that are not zero, one after the other.

use pulp::Arch;

use crate::real::Real;

/// Room behind packed numbers that [`pack_row`] may write to.
pub(crate) const ROOM: usize = 16;

/// Writes the numbers of `row` where `bits` are set to `packed`, and returns how many they are. Writes up to
/// [`ROOM`] numbers too many.
#[inline(always)]
fn pack<T: Real>(arch: Arch, bits: u64, row: &[T], packed: &mut [T]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let (Arch::V4(simd), 4, 0) = (arch, size_of::<T>(), row.len() % avx512::LANES) {
        return avx512::pack(
            simd,
            bits,
            bytemuck::cast_slice(row),
            bytemuck::cast_slice_mut(packed),
        );
    }
    let _ = arch;
    let (mut rest, mut count) = (bits, 0);
    while rest != 0 {
        packed[count] = row[rest.trailing_zeros() as usize];
        rest &= rest - 1;
        count += 1;
    }
    count
}

/// Writes packed numbers to the places of `row` where `bits` are set, and zeros to the others. Returns how
/// many they are.
#[inline(always)]
fn unpack<T: Real>(arch: Arch, bits: u64, packed: &[T], row: &mut [T]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let (Arch::V4(simd), 4, 0) = (arch, size_of::<T>(), row.len() % avx512::LANES) {
        let (packed, row) = (bytemuck::cast_slice(packed), bytemuck::cast_slice_mut(row));
        return avx512::unpack(simd, bits, packed, row);
    }
    let _ = arch;
    row.fill(T::ZERO);
    let (mut rest, mut count) = (bits, 0);
    while rest != 0 {
        row[rest.trailing_zeros() as usize] = packed[count];
        rest &= rest - 1;
        count += 1;
    }
    count
}

/// [`pack`] for a row of any length, with a word of bits for each 64 numbers.
#[inline(always)]
pub(crate) fn pack_row<T: Real>(arch: Arch, words: &[u64], row: &[T], packed: &mut [T]) -> usize {
    let mut count = 0;
    for (bits, row) in words.iter().zip(row.chunks(64)) {
        count += pack(arch, *bits, row, &mut packed[count..]);
    }
    count
}

/// [`unpack`] for a row of any length, with a word of bits for each 64 numbers.
#[inline(always)]
pub(crate) fn unpack_row<T: Real>(arch: Arch, words: &[u64], packed: &[T], row: &mut [T]) -> usize {
    let mut count = 0;
    for (bits, row) in words.iter().zip(row.chunks_mut(64)) {
        count += unpack(arch, *bits, &packed[count..], row);
    }
    count
}

/// The same for words of 32 bits, by instructions that do it for a vector.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use pulp::cast;
    use pulp::x86::V4;

    /// Words in a vector.
    pub const LANES: usize = 16;

    /// The bits of vector number `k`.
    #[inline(always)]
    fn mask(bits: u64, k: usize) -> u16 {
        (bits >> (k * LANES)) as u16
    }

    #[inline(always)]
    pub fn pack(simd: V4, bits: u64, row: &[f32], packed: &mut [f32]) -> usize {
        let mut count = 0;
        for (k, lanes) in row.as_chunks::<LANES>().0.iter().enumerate() {
            let mask = mask(bits, k);
            let numbers = simd.avx512f._mm512_maskz_compress_ps(mask, cast(*lanes));
            packed[count..][..LANES].copy_from_slice(&cast::<_, [f32; LANES]>(numbers));
            count += mask.count_ones() as usize;
        }
        count
    }

    #[inline(always)]
    pub fn unpack(simd: V4, bits: u64, packed: &[f32], row: &mut [f32]) -> usize {
        let mut count = 0;
        for (k, lanes) in row.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mask = mask(bits, k);
            let rest = &packed[count..];
            let numbers = match rest.first_chunk::<LANES>() {
                Some(numbers) => *numbers,
                None => {
                    let mut numbers = [0.0; LANES];
                    numbers[..rest.len()].copy_from_slice(rest);
                    numbers
                }
            };
            *lanes = cast(simd.avx512f._mm512_maskz_expand_ps(mask, cast(numbers)));
            count += mask.count_ones() as usize;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Real>(length: usize) {
        for arch in [Arch::new(), Arch::Scalar] {
            for bits in [0, 1, u64::MAX, 0x8000_4001_0203_0f01] {
                let bits = bits & (u64::MAX >> (64 - length));
                let given: Vec<T> = (1..=length).map(|k| T::from_f64(k as f64)).collect();
                let mut packed = vec![T::ZERO; length + ROOM];
                let mut row = vec![T::ONE; length];
                let count = pack(arch, bits, &given, &mut packed);
                assert_eq!(count, bits.count_ones() as usize);
                assert_eq!(unpack(arch, bits, &packed[..count], &mut row), count);
                for (k, (given, number)) in given.iter().zip(&row).enumerate() {
                    let expected = if bits >> k & 1 == 1 { *given } else { T::ZERO };
                    assert!(*number == expected, "{length} numbers, {bits:x}, place {k}");
                }
            }
        }
    }

    #[test]
    fn rows_come_back_unpacked() {
        for length in [1, 16, 30, 48, 64] {
            round_trip::<f32>(length);
            round_trip::<f64>(length);
        }
    }
}
