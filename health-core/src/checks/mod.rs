//! One file per check: it imports the check contract and its driver, nothing else of this crate but the helpers here.
//! The feature, the file, the module and the test of a check share one name.

mod blocking;
mod closure;
mod gauge;
mod heartbeat;
mod limits;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis_queue")]
mod redis_queue;

pub use self::{
    blocking::{CheckBlocking, check_blocking},
    closure::{CheckFn, check_fn},
    gauge::Gauge,
    heartbeat::{Heartbeat, HeartbeatCheck},
};

#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redis")]
pub use self::redis::Redis;
#[cfg(feature = "redis_queue")]
pub use self::redis_queue::RedisQueue;
