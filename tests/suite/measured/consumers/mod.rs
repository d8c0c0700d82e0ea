//! Programs and formats that read what we write.

mod health_probe;
