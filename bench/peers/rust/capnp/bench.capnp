@0xd1c6f3a5b0e84f27;

interface Bench {
  echo @0 (value :Int64) -> (value :Int64);
  echoBytes @1 (data :Data) -> (data :Data);
  callBack @2 (function :Function, count :Int64) -> ();
  lineCounter @3 (file :File, function :Function) -> (count :Int64);
}

interface Function {
  call @0 (argument :Int64) -> (result :Int64);
  line @1 (text :Text) -> ();
}

interface File {
  readLines @0 () -> (lines :List(Text));
}
