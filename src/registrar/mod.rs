//! registrar
mod binding;
mod bindings;
mod date;
mod register;
mod through;
