"""The AG-UI wire: CopilotKit clients from 1.50 on, and bare AG-UI clients."""
