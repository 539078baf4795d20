//! Sockets: accepting, reading frames, answering in order.

mod answers;
mod connection;
mod frame_reader;
mod listener;
mod send;
mod sniff;

pub(crate) use connection::ConnectionInfo;
pub(crate) use frame_reader::Frame;
pub(crate) use listener::{BoundListener, Connections, TRAFFIC, bind, bind_tcp, serve};
