@rem What `run` is elsewhere. `call`, because the `node` of node_modules is a batch file as well.
@setlocal
@cd /d "%~dp0..\.."
@set "PATH=%CD%\node_modules\.bin;%PATH%"
@call node infra\launcher\choose-node.mjs || exit /b 1
@node %*
