console.log(require("./node_modules/claude-mem/package.json").version);
