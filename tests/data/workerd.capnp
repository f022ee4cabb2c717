# As much of workerd's configuration schema as the tests need, in the same shape. The real
# one, of npm's workerd package, is read in the e2e tests.
@0xe6afd26682091c01;

struct Config {
  services @0 :List(Service);
  sockets @1 :List(Socket);
  v8Flags @2 :List(Text);
}

struct Socket {
  name @0 :Text;
  address @1 :Text;
  http @2 :HttpOptions;
  service @3 :ServiceDesignator;
}

struct HttpOptions {
  style @0 :Style;

  enum Style {
    host @0;
    proxy @1;
  }
}

struct ServiceDesignator {
  name @0 :Text;
}

struct Service {
  name @0 :Text;
  union {
    unspecified @1 :Void;
    worker @2 :Worker;
    external @3 :ExternalServer;
    network @4 :Network;
  }
}

struct ExternalServer {
  address @0 :Text;
  union {
    http @1 :HttpOptions;
    tcp @2 :Void;
  }
}

struct Network {
  allow @0 :List(Text) = ["public"];
  deny @1 :List(Text);
}

struct Worker {
  union {
    modules @0 :List(Module);
    serviceWorkerScript @1 :Text;
    inherit @2 :Text;
  }
  compatibilityDate @3 :Text;
  compatibilityFlags @4 :List(Text);
  bindings @5 :List(Binding);

  struct Binding {
    name @0 :Text;
    union {
      text @1 :Text;
      kvNamespace @2 :Text;
      workerLoader @3 :Void;
    }
  }

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
