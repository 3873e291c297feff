macro_rules! t { ($($n:ident),*) => {$(#[derive(Debug,Clone,PartialEq,Eq,Hash)] pub struct $n(String); impl std::str::FromStr for $n { type Err=String; fn from_str(s:&str)->Result<Self,String>{Ok(Self(s.into()))} } impl std::fmt::Display for $n { fn fmt(&self,f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{f.write_str(&self.0)} })*} }
t!(Mailbox, HostName, EhloName);
