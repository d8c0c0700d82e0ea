//! Tests of the programs that read the health of a service.

mod health_probe;
