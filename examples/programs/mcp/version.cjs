console.log(require("./node_modules/@modelcontextprotocol/server-everything/package.json").version);
