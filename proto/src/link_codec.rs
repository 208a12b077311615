//! How messages between our own processes are encoded: as tonic's codec does it, with less memory
//! set aside.
//!
//! tonic reserves 8 KiB for each direction of a stream. That suits calls; an agent's link lives as
//! long as the agent, mostly idle, and a master has ten thousand of them.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What is set aside for each direction of a stream; longer messages make it grow for a while.
const BUFFER_BYTES: usize = 1 << 10;
/// So much is gathered before it is sent, as in tonic.
const GATHERED_BYTES_MAX: usize = 32 << 10;

/// Encodes `T` and decodes `U`.
#[derive(Debug, Clone)]
pub struct LinkCodec<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for LinkCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for LinkCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER_BYTES, GATHERED_BYTES_MAX))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BUFFER_BYTES, GATHERED_BYTES_MAX))
    }
}
