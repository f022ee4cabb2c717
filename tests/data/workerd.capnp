# As much of workerd's configuration schema as the tests need: same ids and ordinals as in
# npm's workerd package, which e2e tests read as a whole.
@0xe6afd26682091c01;

struct Config {
  services @0 :List(Service);
}

struct Service {
  name @0 :Text;
  union {
    unspecified @1 :Void;
    worker @2 :Worker;
    external @3 :Text;
  }
}

struct Worker {
  union {
    modules @0 :List(Module);
    serviceWorkerScript @1 :Text;
    inherit @2 :Text;
  }
  compatibilityDate @3 :Text;
  compatibilityFlags @4 :List(Text);

  struct Module {
    name @0 :Text;
    union {
      esModule @1 :Text;
      commonJsModule @2 :Text;
      text @3 :Text;
      data @4 :Data;
      wasm @5 :Data;
      json @6 :Text;
      obsolete @7 :Text;
      pythonModule @8 :Text;
    }
  }
}
