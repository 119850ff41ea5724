@rem Does on Windows what `run` does elsewhere. `call`, because `node` in node_modules is a batch file too.
@setlocal
@cd /d "%~dp0..\.."
@set "PATH=%CD%\node_modules\.bin;%PATH%"
@call node infra\launcher\choose-node.mjs || exit /b 1
@node %*
