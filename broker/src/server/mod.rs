//! Sockets: accepting, reading frames, answering in order.

mod connection;
mod frame_reader;
mod listener;
mod sniff;
mod writer;

pub(crate) use connection::ConnectionInfo;
pub(crate) use frame_reader::Frame;
pub(crate) use listener::{BoundListener, Connections, TRAFFIC, bind, bind_tcp, serve};
