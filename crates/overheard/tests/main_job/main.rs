//! End to end over the real program, in folders of its own, offline: import, kill, repeat, read back; bad input; the
//! command line tried wrong; queue and lake that do not belong together; backups; texts analysed; models of others in
//! place; a lake in a bucket; roles on several machines; and the whole house with its page, its push and its alert; SQL and exports that ask for
//! too much; users on the command line.

mod agreement;
mod analyze;
mod bad_input;
mod bucket;
mod cluster_bucket;
mod cluster_crash;
mod crash;
mod damage;
mod forget;
mod house;
mod import;
mod lambda;
mod limits;
mod models;
mod power_cut;
mod program;
mod services;
mod usage;
mod users;
